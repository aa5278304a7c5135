"""What was built once and is opened by later runs: a folder for each, there as a whole or not at all."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import re
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter

from benchmarks.index.contenders.contract import Contender
from benchmarks.index.memory import disk_bytes

__all__ = ["Built", "build", "kept"]

_RECORD = "built.json"


@dataclass(frozen=True)
class Built:
    """Where it lies, and what its making told."""

    folder: Path
    figures: dict[str, float]


def kept(parent: Path, name: str, parameters: str, make: Callable[[Path], dict[str, float]]) -> Built:
    """Return what `make` writes into a folder, and the figures it returns, from an earlier run where there is one.

    Args:
        parent: the folder of the vectors it is made from.
        name: what it is.
        parameters: all else that it depends on; what was made with others goes.
        make: writes into an empty folder.
    """
    digest = hashlib.sha256(parameters.encode()).hexdigest()[:12]
    stem = re.sub("[^a-z0-9]+", "-", name.lower())
    folder = parent / f"{stem}-{digest}"
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        (partial / _RECORD).write_text(json.dumps(make(partial)))
        for outdated in parent.glob(f"{stem}-{'[0-9a-f]' * len(digest)}"):
            shutil.rmtree(outdated)
        partial.rename(folder)
    return Built(folder, json.loads((folder / _RECORD).read_text()))


def build(contender: Contender, rows_file: Path) -> Built:
    """Build a contender beside its rows, in a process whose memory is gone afterwards.

    Raises:
        RuntimeError: that process ended before it was done.
    """

    def make(folder: Path) -> dict[str, float]:
        return {"build_s": _in_process(contender, rows_file, folder), "disk_bytes": disk_bytes(folder)}

    return kept(rows_file.parent, contender.name, contender.parameters, make)


def _in_process(contender: Contender, rows_file: Path, folder: Path) -> float:
    spawning = multiprocessing.get_context("spawn")
    receiver, sender = spawning.Pipe(duplex=False)
    process = spawning.Process(target=_timed, args=(contender, rows_file, folder, sender))
    process.start()
    sender.close()
    try:
        seconds: float = receiver.recv()
    except EOFError as error:
        process.join()
        raise RuntimeError(
            f"Building {contender.name} ended with status {process.exitcode}; -9 may mean that memory ran out."
        ) from error
    finally:
        process.kill()
        process.join()
    return seconds


def _timed(contender: Contender, rows_file: Path, folder: Path, sender: Connection) -> None:
    # Ctrl-C is for the parent, which ends this process; most builders would not notice it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    began = perf_counter()
    contender.build(rows_file, folder)
    sender.send(perf_counter() - began)
