"""Loads TensorFlow as this project uses it: with oneDNN, silent, and only what it needs.

oneDNN is off by default on some processors; measured with it on AMD EPYC, networks ran 1.3 to 2 times as fast. While it
loads, TensorFlow says so on standard error, whatever its log level: what is written there meanwhile is set aside. It is
shown where loading fails; otherwise TensorFlow's lines are left out of it, for a service may log while a model loads.

TensorFlow imports 3,000 modules. While they are imported, the garbage collector would search their objects again and
again, and Keras would import Matplotlib, if it is installed, for plots that nobody here uses.
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

__all__ = ["load_tensorflow"]

_STANDARD_ERROR = 2
_OF_TENSORFLOW = re.compile(rb"WARNING: All log messages before absl|[IWE]\d{4} \d\d:\d\d:")


def load_tensorflow() -> None:
    """To be called before anything imports TensorFlow or Keras; costs nothing where they are loaded."""
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _standard_error_set_aside(), _without_matplotlib(), _without_garbage_collection():
        import_module("tensorflow")


@contextmanager
def _standard_error_set_aside() -> Iterator[None]:
    """Redirect the file descriptor of standard error: native code writes to it, not Python."""
    shown = os.dup(_STANDARD_ERROR)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), _STANDARD_ERROR)
        failed = True
        try:
            yield
            failed = False
        finally:
            os.dup2(shown, _STANDARD_ERROR)
            os.close(shown)
            aside.seek(0)
            for line in aside:
                if failed or not _OF_TENSORFLOW.match(line):
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
