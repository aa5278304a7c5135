import sys
from pathlib import Path

import pytest

from tests.faults.seam import build, compiler
from tests.needs import need


@pytest.fixture(scope="session")
def seam_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the seam; skip on systems without LD_PRELOAD and /proc."""
    need(sys.platform == "linux", "The seam between a process and libc works only on Linux.")
    found = compiler()
    need(found is not None, "There is no C compiler: install one (Debian and Ubuntu: apt install g++).")
    assert found is not None
    return build(found, tmp_path_factory.mktemp("seam"))
