"""What a test needs and a machine may lack: then it is skipped, and says so; in CI nothing may be lacking."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

SHARED_DATA = Path(os.environ.get("SEMSEARCH_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))


def need(there: bool, otherwise: str) -> None:
    """Goes on if it is there; `otherwise` says what is missing, and what to do about it."""
    if not there:
        pytest.fail(otherwise) if os.environ.get("CI") == "true" else pytest.skip(otherwise)


def need_others_indexes() -> None:
    """Goes on if the packages are there that `make bench-index` measures the index against."""
    need(all(find_spec(name) for name in ("faiss", "hnswlib")), "faiss or hnswlib is not installed: make bench-setup")
