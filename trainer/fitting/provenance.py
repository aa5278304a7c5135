"""What a run was made from and with: ``run.json`` in its folder.

Contract: ``inputs`` are the SHA-256 of the files and the options that make the training set; a folder is refused to a
run with others. ``starts`` has an entry for each time that the run was begun or gone on with: command, time, versions,
commit, device, and for how long it trained until its last epoch. The file appears whole.
"""

from __future__ import annotations

import json
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import monotonic
from typing import Any

from trainer.errors import RunMismatch
from trainer.runs import write_json

__all__ = ["Inputs", "Provenance", "check_inputs"]

Inputs = Mapping[str, str | int]

_PACKAGES = ("keras", "tensorflow", "numpy", "semsearch")


class Provenance:
    """The record of a run that is being made."""

    def __init__(self, folder: Path, inputs: Inputs, device: Sequence[str]) -> None:
        """Begins an entry.

        Raises:
            RunMismatch: the folder holds a run that was made from something else; the message says what.
        """
        check_inputs(folder, inputs)
        self._path = folder / "run.json"
        earlier = _read(folder).get("starts", [])
        self._entry: dict[str, Any] = {
            "command": shlex.join(["python", "-m", "trainer", *sys.argv[1:]]),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": 0.0,
            "versions": {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
            "git": _commit(),
            "device": list(device),
        }
        self._record = {"inputs": dict(inputs), "starts": [*earlier, self._entry]}
        self._began = monotonic()
        self.write()

    def write(self) -> None:
        """Write how long it took until now."""
        self._entry["seconds"] = round(monotonic() - self._began, 3)
        write_json(self._path, self._record)


def check_inputs(folder: Path, inputs: Inputs) -> None:
    """Refuse a run's folder to other inputs; one that tells none is not refused.

    Raises:
        RunMismatch: the run in the folder was made from something else.
    """
    theirs = _read(folder).get("inputs", inputs)
    changed = sorted(name for name in {*inputs, *theirs} if inputs.get(name) != theirs.get(name))
    if changed:
        raise RunMismatch(
            f"The run in {folder} was made from other inputs ({', '.join(changed)} changed). Name another folder, or "
            "delete that one."
        )


def _read(folder: Path) -> dict[str, Any]:
    path = folder / "run.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _version(package: str) -> str | None:
    for name in (package, f"{package}-cpu"):  # as TensorFlow is called where it is for processors only
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None


def _commit() -> dict[str, Any] | None:
    """The commit of this code and whether it was changed since; None where it is not in a repository of its own."""
    try:
        _git("ls-files", "--error-unmatch", Path(__file__).name)
        return {"commit": _git("rev-parse", "HEAD").strip(), "dirty": bool(_git("status", "--porcelain", "."))}
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
