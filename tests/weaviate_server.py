"""Where tests find the program of Weaviate."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from tests.needs import need

_TOOLS = Path(__file__).parents[1] / ".tools" / "bin"


def need_weaviate() -> Path:
    """Return the program, as `make weaviate` builds it, or one on the PATH; skip or fail the test without it."""
    found = shutil.which("weaviate-server", path=f"{_TOOLS}{os.pathsep}{os.environ.get('PATH', '')}")
    need(found is not None, "there is no weaviate-server: make weaviate (needs Go)")
    need(find_spec("weaviate") is not None, "weaviate-client is not installed: make weaviate-setup")
    return Path(str(found))
