"""Which model is being switched to, kept in a file, so that a gateway that is started again goes on.

The file is written under a temporary name, fsynced, and renamed: the commit point. It holds the model's id.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from gateway.errors import SwitchNotStored


class SwitchState:
    """The file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> str:
        """Returns the model's id, or "" where none is being switched to."""
        try:
            return self._path.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""

    def write(self, model_id: str) -> None:
        """Says which model is being switched to; raises `SwitchNotStored`."""
        temporary = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("w", encoding="utf-8") as file:
                file.write(model_id + "\n")
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
            self._sync_folder()
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise SwitchNotStored(error.strerror or str(error)) from error

    def clear(self) -> None:
        """Says that none is being switched to; raises `SwitchNotStored`."""
        try:
            self._path.unlink(missing_ok=True)
            self._sync_folder()
        except OSError as error:
            raise SwitchNotStored(error.strerror or str(error)) from error

    def _sync_folder(self) -> None:
        descriptor = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
