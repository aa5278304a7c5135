"""Exceptions for why the suite cannot run; the message is shown to the user as it stands.

LauncherError
├── AlreadyRunning         another launcher runs with the same data folder
├── BadProcfile            the Procfile is missing, or does not list what is needed
├── BadSetting             a service rejects its settings; the message is the service's own
├── CannotStart            a service ended with an error before it served
├── CertificateNotTrusted  the services would refuse each other's certificates
├── DataNotWritable        the data folder cannot be made or written
├── PortNotFree            a port is in use, may not be opened, or is set twice
└── NotReady               a service does not answer SERVING in time
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class LauncherError(Exception):
    """The suite cannot start or continue; `exit_status` is the launcher's exit status."""

    exit_status = 1


class AlreadyRunning(LauncherError):
    """Another launcher runs with the same data folder; `address` and `pid` are "" where they are not known."""

    def __init__(self, data: Path, address: str, pid: str) -> None:
        where = f" Its gateway is at {address} (process {pid})." if address else ""
        super().__init__(
            f"A semsearch with the data folder {data} runs already.{where} Use that one or stop it; "
            "for another beside it, set SEMSEARCH_DATA and the ports."
        )


class BadProcfile(LauncherError):
    """The Procfile is missing, or does not list what is needed."""

    def __init__(self, file: Path, problem: str) -> None:
        super().__init__(f"{file} {problem}.")


class BadSetting(LauncherError):
    """A service rejects its settings."""

    exit_status = 2


class CannotStart(LauncherError):
    """A service ended with an error before it served; `said` is its error, or else its last line."""

    def __init__(self, name: str, end: str, said: str) -> None:
        super().__init__(
            f"The {name} cannot start: it {end}, so everything was stopped." + (f" {said}" if said else "")
        )


class CertificateNotTrusted(LauncherError):
    """The services would refuse each other's certificates."""

    exit_status = 2


class DataNotWritable(LauncherError):
    """The data folder cannot be made or written."""

    def __init__(self, data: Path, error: OSError) -> None:
        super().__init__(
            f"The data folder {data} cannot be written ({error.strerror}). Free space or change its permissions, "
            "or set SEMSEARCH_DATA to another folder."
        )


class PortNotFree(LauncherError):
    """A service cannot use its port."""


class NotReady(LauncherError):
    """Services do not answer SERVING in time; `complaints` has what each complained of last, by its name, or ""."""

    def __init__(self, complaints: Mapping[str, str]) -> None:
        said = "".join(f"\nThe {name} said: {complaint}" for name, complaint in complaints.items() if complaint)
        super().__init__(
            f"Not ready in time: {', '.join(complaints)}. Everything was stopped; the log above shows how far each "
            f"got. Give a slow machine more time with --ready-seconds.{said}"
        )
