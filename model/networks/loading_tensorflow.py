"""Loads TensorFlow with oneDNN and without its output.

oneDNN is off by default on some processors; with it, networks ran 1.3 to 2 times as fast on an AMD EPYC. TensorFlow
writes to standard error while it loads, whatever its log level. So standard error is buffered until it has loaded. Then
all lines are written if loading failed, and otherwise only those of others, such as a service that logs at that time.

TensorFlow imports 3,000 modules. While they load, the garbage collector would search their objects again and again,
and Keras would import Matplotlib, if it is installed, for plots that the project does not use. Both are prevented.
"""

from __future__ import annotations

import gc
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

_STANDARD_ERROR = 2
_TENSORFLOW_LINE = re.compile(rb"WARNING: All log messages before absl|[IWE]\d{4} \d\d:\d\d:")


def load_tensorflow(*, threads: int | None = None) -> None:
    """Load TensorFlow, if it is not loaded yet. Call this before anything imports TensorFlow or Keras.

    `threads`: how many compute at most, if the machine's settings name no number; None means one for each core.
    """
    if "tensorflow" in sys.modules:
        return
    if threads is not None:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(threads))
        os.environ.setdefault("TF_NUM_INTEROP_THREADS", str(threads))
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _buffered_standard_error(), _without_matplotlib(), _without_garbage_collection():
        import_module("tensorflow")


@contextmanager
def _buffered_standard_error() -> Iterator[None]:
    """Redirect the file descriptor of standard error, because native code writes to it."""
    original = os.dup(_STANDARD_ERROR)
    with tempfile.TemporaryFile() as buffer:
        os.dup2(buffer.fileno(), _STANDARD_ERROR)
        failed = True
        try:
            yield
            failed = False
        finally:
            os.dup2(original, _STANDARD_ERROR)
            os.close(original)
            buffer.seek(0)
            for line in buffer:
                if failed or not _TENSORFLOW_LINE.match(line):
                    os.write(_STANDARD_ERROR, line)


@contextmanager
def _without_matplotlib() -> Iterator[None]:
    """Hide Matplotlib unless it is imported already."""
    hidden = "matplotlib" not in sys.modules
    if hidden:
        sys.modules["matplotlib"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            del sys.modules["matplotlib"]


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Stop the garbage collector, and afterwards exempt what exists: modules stay until the process ends."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if enabled:
            gc.enable()
