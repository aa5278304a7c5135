"""Exceptions for why the suite cannot run; the message is shown to the user as it stands.

LauncherError
├── BadProcfile        the Procfile is missing, or does not list what is needed
├── BadSetting         a service rejects its settings; the message is the service's own
├── PortNotFree        a port is in use, may not be opened, or is set twice
├── ServiceStopped     a service stopped by itself
└── NotReady           a service does not answer SERVING in time
"""

from __future__ import annotations

from pathlib import Path


class LauncherError(Exception):
    """The suite cannot start or continue; `exit_status` is the launcher's exit status."""

    exit_status = 1


class BadProcfile(LauncherError):
    """The Procfile is missing, or does not list what is needed."""

    def __init__(self, file: Path, problem: str) -> None:
        super().__init__(f"{file} {problem}.")


class BadSetting(LauncherError):
    """A service rejects its settings."""

    exit_status = 2


class PortNotFree(LauncherError):
    """A service cannot use its port."""


class ServiceStopped(LauncherError):
    """A service stopped by itself; the message includes its last line."""

    def __init__(self, name: str, returncode: int, last_line: str) -> None:
        how = f"was killed by signal {-returncode}" if returncode < 0 else f"ended with status {returncode}"
        said = f" Its last output: {last_line}" if last_line else ""
        super().__init__(f"The {name} {how}, so everything was stopped.{said}")


class NotReady(LauncherError):
    """Services do not answer SERVING in time."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(
            f"Not ready in time: {', '.join(names)}. Everything was stopped; the log above shows how far each "
            "got. Give a slow machine more time with --ready-seconds."
        )
