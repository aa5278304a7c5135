"""Fuzz with atheris: `python -m tests.fuzz [TARGET …] --runs 500000`.

Each target runs in a process of its own, with the Python code of the suite instrumented. It begins with the corpus,
tests/fuzz/corpus, and with what earlier runs found, in `--out`. A finding ends the target: its input is written to
`--out`, and the exit status is 1. `--add` copies the shortest inputs that reached new code into the corpus, which
`test_corpus.py` replays.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.targets import MODULES, load

CORPUS = Path(__file__).parent / "corpus"
# Bytes of an input that is added to the corpus, and how many are added for a target.
_LONGEST, _MOST = 4_096, 60
_PROGRESS = re.compile(r"#(\d+)\s")
_MEMORY = Path("/dev/shm")


def main() -> int:
    """Fuzz the targets one after the other, and print a table."""
    parser = argparse.ArgumentParser(description="Fuzz the suite's parsers and servicers.")
    parser.add_argument("targets", nargs="*", default=list(MODULES), metavar="TARGET", help=", ".join(MODULES))
    parser.add_argument("--runs", type=int, default=500_000, help="inputs to try for each target")
    parser.add_argument("--seconds", type=int, default=0, help="seconds for each target; 0 is no limit")
    parser.add_argument("--out", type=Path, default=Path("var/fuzz"))
    parser.add_argument("--add", action="store_true", help="add what was found to the corpus")
    options = parser.parse_args()
    failed = 0
    print(f"{'target':12} {'runs':>9} {'seconds':>8} {'runs/s':>7} {'inputs':>7}  result", flush=True)  # noqa: T201
    for name in options.targets:
        found = options.out / name
        found.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(load(name).seeds()):
            (found / f"seed-{number}").write_bytes(seed)
        failed += _fuzz(name, found, options.runs, options.seconds)
        if options.add:
            _add(name, found)
    return 1 if failed else 0


def _fuzz(name: str, found: Path, runs: int, seconds: int) -> int:
    """Fuzz a target in a process, print its line, and return 1 if there is a finding."""
    target, began = load(name), time.monotonic()
    limits = [f"-runs={runs}", f"-max_len={target.max_bytes}", f"-timeout={target.seconds}", "-rss_limit_mb=3072"]
    if seconds:
        limits.append(f"-max_total_time={seconds}")
    (CORPUS / name).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as temporary:
        command = [sys.executable, "-m", "tests.fuzz.run", name, *limits, f"-artifact_prefix={found}-"]
        process = subprocess.run(
            [*command, str(found), str(CORPUS / name)],
            env={**os.environ, "TMPDIR": temporary},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # an exception goes to stdout, everything else to stderr
            text=True,
            errors="replace",
            check=False,
        )
    (found.parent / f"{name}.log").write_text(process.stdout)
    counts = _PROGRESS.findall(process.stdout)
    took, count = time.monotonic() - began, int(counts[-1]) if counts else 0
    result = "ok" if process.returncode == 0 else f"FAILED: see {found.parent / name}.log"
    print(  # noqa: T201
        f"{name:12} {count:9,} {took:8.0f} {count / took:7.0f} {len(list(found.iterdir())):7}  {result}", flush=True
    )
    return 0 if process.returncode == 0 else 1


def _add(name: str, found: Path) -> None:
    """Add the shortest inputs that reached new code to the corpus."""
    inputs = sorted(found.iterdir(), key=lambda file: (file.stat().st_size, file.name))
    for file in [each for each in inputs if 0 < each.stat().st_size <= _LONGEST][:_MOST]:
        content = file.read_bytes()
        (CORPUS / name / hashlib.sha256(content).hexdigest()[:16]).write_bytes(content)


if __name__ == "__main__":
    sys.exit(main())
