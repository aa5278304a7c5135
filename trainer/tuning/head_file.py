"""Settings of a head as the TOML file that ``fit --config`` takes."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from trainer.fitting.settings import HeadSettings
from trainer.runs import write_lines

__all__ = ["write_head_file"]

# The dimension is the words', and which images are held out is the feature set's: `fit` knows both.
_LEFT_OUT = ("dimension", "held_out", "loss")


def write_head_file(path: Path, settings: HeadSettings, remark: str) -> None:
    """Write the settings, their loss as the table ``[loss]``, below a remark of one line.

    Raises:
        NotWritten: the disk is full or refuses.
    """
    fields = asdict(settings)
    # JSON's strings, numbers and arrays are TOML's.
    keys = [f"{key} = {json.dumps(value)}" for key, value in fields.items() if key not in _LEFT_OUT]
    loss = [f"{key} = {json.dumps(value)}" for key, value in fields["loss"].items()]
    write_lines(path, [f"# {remark}", *keys, "", "[loss]", *loss])
