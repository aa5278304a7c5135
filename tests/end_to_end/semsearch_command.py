"""The `semsearch` command as people type it, against a suite that runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CALL_SECONDS = 120.0


def semsearch(server: str, *arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "semsearch", *map(str, arguments), "--server", server],
        capture_output=True, text=True, timeout=CALL_SECONDS, check=check,
    )  # fmt: skip
