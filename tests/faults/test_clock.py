"""The wall clock jumps forward and back by years between requests and between starts."""

import subprocess
import sys
from pathlib import Path

from tests.faults.seam import environment

ROOT = Path(__file__).parents[2]
TIMEOUT = 120.0


def test_a_clock_that_jumps_changes_nothing(seam_library: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.jumps", str(tmp_path / "index")],
        cwd=ROOT,
        env=environment(seam_library),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
