"""Why the suite cannot run, as exceptions; the message is the one sentence that is shown.

LauncherError
├── BadProcfile        the Procfile is missing, or does not list what is needed
├── BadSetting         a service refuses its settings; the sentence is the service's own
├── PortNotFree        a port is in use, may not be opened, or is set twice
├── ServiceStopped     a service ended by itself
└── NotReady           a service does not answer SERVING in time
"""

from __future__ import annotations

from pathlib import Path


class LauncherError(Exception):
    """The suite cannot run, or not any longer; `exit_status` is what the launcher exits with."""

    exit_status = 1


class BadProcfile(LauncherError):
    """The Procfile is missing, or does not list what is needed."""

    def __init__(self, file: Path, problem: str) -> None:
        super().__init__(f"{file} {problem}.")


class BadSetting(LauncherError):
    """A service refuses its settings."""

    exit_status = 2


class PortNotFree(LauncherError):
    """A service would not get a port."""


class ServiceStopped(LauncherError):
    """A service ended by itself; the message has its last line."""

    def __init__(self, name: str, returncode: int, last_line: str) -> None:
        how = f"was killed by signal {-returncode}" if returncode < 0 else f"ended with status {returncode}"
        said = f" Its last words: {last_line}" if last_line else ""
        super().__init__(f"The {name} {how}, so everything was stopped.{said}")


class NotReady(LauncherError):
    """Services do not answer SERVING in time."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(
            f"Not ready in time: {', '.join(names)}. Everything was stopped; the log above says how far it "
            "came. A slow machine can be given more time: --ready-seconds."
        )
