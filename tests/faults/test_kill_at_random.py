"""kill −9 at random moments under load, many times on one data folder."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
KILLS = 200
TIMEOUT = 600.0


def test_two_hundred_kills_under_load_lose_no_acknowledged_write(tmp_path: Path) -> None:
    seed = os.environ.get("SEMSEARCH_FAULTS_SEED") or secrets.token_hex(4)
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.load", seed, str(KILLS), str(tmp_path / "index")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["failure"] is None, f"SEMSEARCH_FAULTS_SEED={seed} repeats it. {report['failure']}\n{done.stderr}"
    assert report["kills"] == KILLS
    assert report["answers"] > KILLS
    sys.stdout.write(f"\n{report['kills']} kills, {report['answers']} answers before them\n")
