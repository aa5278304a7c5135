"""On a developer's machine a test that lacks something is skipped; in CI that is a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SKIPS = {
    "mark": "@pytest.mark.skip(reason='no font')\ndef test_it(): ...\n",
    "call": "def test_it(): pytest.skip('no font')\n",
    "fixture": "@pytest.fixture\ndef font(): pytest.skip('no font')\n\ndef test_it(font): ...\n",
    "module": "pytest.skip('no font', allow_module_level=True)\n",
}


def run(file: Path, ci: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", os.devnull, "--rootdir", str(file.parent)]
    return subprocess.run(
        [*command, "-p", "no:cacheprovider", "-rs", str(file)],
        cwd=REPOSITORY, env={**os.environ, "CI": ci}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("how", SKIPS)
def test_a_skip_fails_in_ci_and_says_why(tmp_path: Path, how: str) -> None:
    file = tmp_path / "test_font.py"
    file.write_text(f"import pytest\n\n{SKIPS[how]}")
    done = run(file, "true")
    assert done.returncode != 0, done.stdout
    assert "In CI nothing may be skipped." in done.stdout
    assert "no font" in done.stdout


def test_elsewhere_it_stays_a_skip(tmp_path: Path) -> None:
    file = tmp_path / "test_font.py"
    file.write_text(f"import pytest\n\n{SKIPS['call']}")
    done = run(file, "")
    assert done.returncode == 0, done.stdout
    assert "1 skipped" in done.stdout
