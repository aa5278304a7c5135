"""The process that computes a map: `python -m gateway.maps.computing FOLDER DIMENSION THREADS MEMORY`.

It reads `vectors.f32` in the folder and writes `principal.npz`, then `neighborly.npz`, each with the arrays of
`Computed`. It prints its progress as lines of JSON: `{"stage": …, "fraction": …}`, and `{"written": …}` for a file. It
exits when its standard input ends, so it never outlives its parent.

A process of its own, because the work would stop the gateway's event loop for seconds, needs hundreds of MB that no
process gives back completely, and can only be stopped from outside.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from gateway.maps.layouts import Places, can_be_neighborly, neighborly, principal
from gateway.maps.neighbors import Vectors
from gateway.maps.regions import find_regions

VECTORS = "vectors.f32"
PRINCIPAL = "principal.npz"
NEIGHBORLY = "neighborly.npz"
OUT_OF_MEMORY = 3
# Below that of the embedder and the index (Procfile).
_NICENESS = 15


def compute(folder: Path, dimension: int, threads: int) -> None:
    """Compute both layouts of the vectors in a folder, or only the first if the second is not possible."""
    file = folder / VECTORS
    shape = (file.stat().st_size // (4 * dimension), dimension)
    vectors: Vectors = np.memmap(file, "<f4", "r", shape=shape) if shape[0] else np.zeros(shape, np.float32)
    places = principal(vectors)
    _write(folder / PRINCIPAL, vectors, places)
    if can_be_neighborly(len(vectors)):
        places = neighborly(
            vectors, places, threads, lambda share: _report("neighbors", share), lambda share: _report("layout", share)
        )
        _write(folder / NEIGHBORLY, vectors, places)


def _write(file: Path, vectors: Vectors, places: Places) -> None:
    np.savez(file, places=places, **vars(find_regions(vectors, places)))
    print(json.dumps({"written": file.name}), flush=True)  # noqa: T201 — it is read by the gateway


def _report(stage: str, fraction: float) -> None:
    print(json.dumps({"stage": stage, "fraction": round(fraction, 4)}), flush=True)  # noqa: T201 — as above


def _end_with_parent() -> None:
    while os.read(0, 1):  # not sys.stdin, whose lock would be held when the interpreter exits
        pass
    os._exit(1)


def main() -> int:
    """Read the arguments and compute."""
    folder, dimension, threads, memory = sys.argv[1:]
    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_DATA, (int(memory), int(memory)))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with threadpool_limits(int(threads)):
        try:
            compute(Path(folder), int(dimension), int(threads))
        except MemoryError:
            return OUT_OF_MEMORY
    return 0


if __name__ == "__main__":
    sys.exit(main())
