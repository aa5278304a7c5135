"""Built artefacts that later runs reuse: one folder each, which exists completely or not at all."""

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

_RECORD = "built.json"


@dataclass(frozen=True)
class Built:
    """The folder of an artefact, and the figures from building it."""

    folder: Path
    figures: dict[str, float]


def cached(parent: Path, name: str, parameters: str, make: Callable[[Path], dict[str, float]]) -> Built:
    """Return the folder that `make` fills and the figures that it returns, reused from an earlier run if possible.

    Args:
        parent: the folder of the vectors that it is built from.
        name: the artefact's name.
        parameters: everything else that it depends on; artefacts with other parameters are removed.
        make: fills an empty folder and returns figures.
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
    """Build a contender beside its rows, in a separate process so that its memory is freed afterwards.

    Raises:
        RuntimeError: the process ended before the build was complete.
    """

    def make(folder: Path) -> dict[str, float]:
        return {"build_s": _in_process(contender, rows_file, folder), "disk_bytes": disk_bytes(folder)}

    return cached(rows_file.parent, contender.name, contender.parameters, make)


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
            f"Building {contender.name} ended with status {process.exitcode}; -9 may mean that it ran out of memory."
        ) from error
    finally:
        process.kill()
        process.join()
    return seconds


def _timed(contender: Contender, rows_file: Path, folder: Path, sender: Connection) -> None:
    # Ctrl-C is for the parent, which stops this process; most builders would ignore it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    began = perf_counter()
    contender.build(rows_file, folder)
    sender.send(perf_counter() - began)
