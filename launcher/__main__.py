"""Run the suite until Ctrl-C: `python -m launcher`.

Exit status: 1 if a port is taken or a service cannot start, 2 for a bad setting, 130 after Ctrl-C, 143 after SIGTERM.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from launcher.stopping import Interrupted, raise_on_signals


def main(argv: Sequence[str] | None = None) -> int:
    """Run the suite and return the exit status."""
    raise_on_signals()
    try:
        # Imported here: gRPC and pydantic take 0.4 s to import, and a Ctrl-C during that time should show no traceback.
        from launcher.suite import run

        return run(argv)
    except Interrupted as interrupt:
        return interrupt.exit_status


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # everything is stopped by now, and gRPC's own end can take a second more
