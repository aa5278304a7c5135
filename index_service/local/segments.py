"""Segments on disk: a folder with `rows.npy`, `vectors.npy` and the engine's own files, immutable once named.

A segment is written under a temporary name, each file is synced, and the folder is renamed. It takes effect when a
manifest names it. Vectors are memory-mapped; row numbers (8 bytes each) are in memory.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from index_service.definition import EngineKind
from index_service.engines.contract import Engine, Progress
from index_service.engines.exact import ExactSearcher
from index_service.engines.planning import UnusablePlan
from index_service.local.manifest import FileRecord, SegmentRecord
from index_service.local.reads import StoreReader
from index_service.local.snapshot import Part, Rows, Segment
from index_service.storage import lacks_handles, write_array
from index_service.vectors import read_array
from serving.durable_files import discard, publish, sync, temporary_beside

SEGMENTS_FOLDER = "segments"
_ROWS = "rows.npy"
_VECTORS = "vectors.npy"
_CHUNK = 1_024
# What `read_array` and the engines raise about a file that is damaged.
_UNREADABLE = (ValueError, RuntimeError, IndexError)


class UnusableSegment(Exception):
    """A segment cannot be searched; recovery catches and reports this, and rebuilds it."""


def written_nanoseconds(index_folder: Path, name: str) -> int:
    """Return when a segment's files were written, in nanoseconds since 1970; 0 if the segment is gone."""
    try:
        return (index_folder / SEGMENTS_FOLDER / name).stat().st_mtime_ns
    except FileNotFoundError:  # a merge has just replaced it
        return 0


def write_segment(
    index_folder: Path, kind: EngineKind, engine: Engine, parts: Sequence[Part], progress: Progress
) -> SegmentRecord:
    """Write a segment of all rows alive in `parts` (at least one), and return its record.

    Raises:
        BuildFailed: the engine could not build it.
        OSError: a file could not be written.
    """
    folder = index_folder / SEGMENTS_FOLDER / f"segment-{secrets.token_hex(6)}"
    temporary = temporary_beside(folder)
    try:
        temporary.mkdir()  # without parents, so that a deleted index's folder is not created again
        rows = _write_rows(temporary, parts)
        names = (_ROWS, _VECTORS, *engine.build(temporary / _VECTORS, temporary, progress))
        for name in names:
            sync(temporary / name)
        record = SegmentRecord(folder.name, kind, rows, tuple(FileRecord.of(temporary / name) for name in names))
        sync(temporary)
        publish(temporary, folder)
    finally:
        discard(temporary)
    return record


def stored_part(reader: StoreReader) -> Part:
    """Return all rows of the store with their vectors in memory.

    Raises:
        StoreDamaged: a row has no vector of the right size.
    """
    rows = reader.rows()
    vectors = reader.vectors(rows)
    return Part(rows, vectors, np.ones(len(rows), dtype=np.bool_), ExactSearcher(vectors))


def open_segment(index_folder: Path, record: SegmentRecord, engine: Engine) -> Segment:
    """Open a segment whose files have the recorded sizes; none of its rows are marked as deleted.

    Args:
        index_folder: the index's folder.
        record: the segment.
        engine: the engine that built it.

    Raises:
        UnusableSegment: another version of the engine wrote its files, or they are damaged so that they cannot be read.
    """
    folder = index_folder / SEGMENTS_FOLDER / record.name
    try:
        rows: Rows = read_array(folder / _ROWS)
        # A plain array, because slicing a `memmap` costs microseconds.
        vectors = read_array(folder / _VECTORS, mapped=True)
        if rows.shape != (record.row_count,) or rows.dtype != np.int64 or (np.diff(rows) <= 0).any():
            raise UnusableSegment(f"{_ROWS} has no ascending row numbers")
        if vectors.ndim != 2 or len(vectors) != record.row_count or vectors.dtype != np.float32:
            raise UnusableSegment(f"{_VECTORS} has no {record.row_count} vectors")
        searcher = engine.open(vectors, folder)
    except UnusablePlan as error:
        raise UnusableSegment(str(error)) from error
    except _UNREADABLE as error:
        if lacks_handles(error):
            raise
        raise UnusableSegment(f"a file cannot be read ({error})") from error
    return Segment(rows, vectors, np.ones(len(rows), dtype=np.bool_), searcher, name=record.name)


def _write_rows(folder: Path, parts: Sequence[Part]) -> int:
    """Write the numbers and vectors of the rows alive in `parts`, by row number; return how many."""
    rows = np.concatenate([part.rows[part.alive] for part in parts])
    part_of = np.concatenate([np.full(part.alive_count, number) for number, part in enumerate(parts)])
    position = np.concatenate([np.flatnonzero(part.alive) for part in parts])
    order = np.argsort(rows)
    write_array(folder / _ROWS, rows[order])
    dimension = parts[0].vectors.shape[1]
    # Written, not mapped: on a full disk, a write raises an error, but a mapped page kills the process.
    with (folder / _VECTORS).open("wb") as file:
        shape = (len(rows), dimension)
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        for start in range(0, len(rows), _CHUNK):
            chosen = order[start : start + _CHUNK]
            block = np.empty((len(chosen), dimension), dtype="<f4")
            for number, part in enumerate(parts):
                here = part_of[chosen] == number
                block[here] = part.vectors[position[chosen[here]]]
            file.write(block.tobytes())
    return len(rows)
