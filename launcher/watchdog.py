"""Ends the services if the launcher dies without doing so, for example by SIGKILL: `python -m launcher.watchdog`.

Reads process group ids from stdin, one a line. The launcher holds the other end of that pipe and nobody else does, so
its end comes when the launcher is gone, however it went; then every group is ended. Runs in a session of its own, where
Ctrl-C does not reach it. (Linux alone could do without: PR_SET_PDEATHSIG.)
"""

from __future__ import annotations

import sys

from launcher.process_groups import end_groups


def main() -> None:
    """Waits for the end of stdin."""
    end_groups([int(line) for line in sys.stdin])


if __name__ == "__main__":
    main()
