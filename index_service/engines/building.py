"""The build process of an engine's files: `python -m index_service.engines.building ENGINE VECTORS FOLDER SETTING …`.

It prints the number of rows added so far to standard output, one number per line. It exits when its standard input
ends, and so together with its parent.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from threadpoolctl import threadpool_limits

from index_service.engines.annoy_build import build_forest
from index_service.engines.hnsw_build import build_graph

_BUILDS: dict[str, Callable[..., None]] = {"annoy": build_forest, "hnsw": build_graph}
_NICENESS = 5


def _end_with_parent() -> None:
    while os.read(0, 1):  # not sys.stdin, whose lock would be held when the interpreter exits
        pass
    os._exit(1)


def _report(rows: int) -> None:
    sys.stdout.write(f"{rows}\n")
    sys.stdout.flush()


def main() -> None:
    """Read the arguments and build."""
    engine, vectors_file, folder, *settings = sys.argv[1:]
    os.nice(_NICENESS)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with threadpool_limits(1, user_api="blas"):  # as in the service, so that measured times apply there
        _BUILDS[engine](Path(vectors_file), Path(folder), *(float(setting) for setting in settings), progress=_report)


if __name__ == "__main__":
    main()
