"""Skips a test if the machine lacks something that it needs; in CI the test fails instead."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SHARED_DATA = Path(os.environ.get("SEMSEARCH_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))


def need(there: bool, otherwise: str) -> None:
    """Skip or fail the test if a need is missing; `otherwise` says what is missing, and what to do about it."""
    if not there:
        pytest.fail(otherwise) if os.environ.get("CI") == "true" else pytest.skip(otherwise)


def need_others_indexes() -> None:
    """Require the packages that `make bench-index` compares the index with."""
    need(all(find_spec(name) for name in ("faiss", "hnswlib")), "faiss or hnswlib is not installed: make bench-setup")


def need_namespaces() -> None:
    """Require what makes machines out of network namespaces."""
    need(sys.platform == "linux" and os.geteuid() == 0, "network namespaces need Linux and root")
    need(
        all(map(shutil.which, ("ip", "nsenter"))),
        "there is no `ip` or `nsenter`: install iproute2 and util-linux",
    )
    name = f"semsearch-{os.getpid()}-try"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    need(made.returncode == 0, f"network namespaces cannot be made here: {made.stderr.strip()}")
    subprocess.run(["ip", "netns", "del", name], check=True)


def need_ray() -> None:
    """Require Ray, which is too large to be installed with the rest."""
    need(find_spec("ray") is not None, "Ray is not installed: make ray-setup")
