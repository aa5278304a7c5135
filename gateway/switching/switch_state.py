"""Which model is being switched to, kept in a file, so that a restarted gateway resumes the switch.

The rename of the written file is the commit point (see `serving.durable_files`). It holds the model's id.
"""

from __future__ import annotations

from pathlib import Path

from gateway.errors import SwitchNotStored
from serving.durable_files import sync, write_file


class SwitchState:
    """The file that records the target of a switch."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> str:
        """Return the model's id, or "" where none is being switched to."""
        try:
            return self._path.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""

    def write(self, model_id: str) -> None:
        """Record which model is being switched to; raises `SwitchNotStored`."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_file(self._path, f"{model_id}\n".encode())
        except OSError as error:
            raise SwitchNotStored(error.strerror or str(error)) from error

    def clear(self) -> None:
        """Record that no switch is under way; raises `SwitchNotStored`."""
        try:
            self._path.unlink(missing_ok=True)
            sync(self._path.parent)
        except OSError as error:
            raise SwitchNotStored(error.strerror or str(error)) from error
