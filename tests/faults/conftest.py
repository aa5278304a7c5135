import sys
from pathlib import Path

import pytest

from tests.faults.seam import build, compiler
from tests.needs import need


@pytest.fixture(scope="session")
def seam_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The seam, compiled; only where the linker puts a library before libc by LD_PRELOAD and there is /proc."""
    need(sys.platform == "linux", "The seam between a process and libc is for Linux only.")
    found = compiler()
    need(found is not None, "There is no C compiler: install one (Debian and Ubuntu: apt install g++).")
    assert found is not None
    return build(found, tmp_path_factory.mktemp("seam"))
