"""Builds an Annoy forest, in a process of its own: `python -m … VECTORS_FILE FOREST_FILE TREES THREADS`.

A process, because filling a forest holds the GIL (other threads waited up to 20 ms while 30,000 rows were added),
because a full disk kills whoever writes to the mapped file, and because a build can only be ended from outside. The
number of rows that were added goes to standard output, one line each time. The process ends when its standard input
does: with its parent.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import numpy as np
from annoy import AnnoyIndex

from index_service.engines.contract import Progress

# The same vectors give the same forest.
SEED = 20_090_401
_CHUNK = 1_000
_NICENESS = 5


def build_forest(vectors_file: Path, forest_file: Path, trees: int, threads: int, progress: Progress) -> None:
    """Builds a forest over float32 (n, dimension) in NumPy's format and writes it; item i is row i."""
    vectors = np.load(vectors_file, mmap_mode="r")
    forest = AnnoyIndex(vectors.shape[1], "angular")
    forest.set_seed(SEED)
    forest.on_disk_build(str(forest_file))
    for start in range(0, len(vectors), _CHUNK):
        # A list of floats is added five times as fast as an array.
        for offset, vector in enumerate(vectors[start : start + _CHUNK].tolist()):
            forest.add_item(start + offset, vector)
        progress(min(start + _CHUNK, len(vectors)))
    forest.build(trees, n_jobs=threads)
    forest.unload()


def _end_with_parent() -> None:
    while os.read(0, 1):  # not sys.stdin, whose lock would be held when the interpreter ends
        pass
    os._exit(1)


def _report(rows: int) -> None:
    sys.stdout.write(f"{rows}\n")
    sys.stdout.flush()


def main() -> None:
    """Reads the arguments and builds."""
    vectors_file, forest_file, trees, threads = sys.argv[1:]
    os.nice(_NICENESS)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    build_forest(Path(vectors_file), Path(forest_file), int(trees), int(threads), _report)


if __name__ == "__main__":
    main()
