"""This trainer's way: its command line, with each command in its own process, as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from benchmarks.training.pictures import Pictures
from benchmarks.training.results import Step
from trainer.errors import TrainerError


class CommandFailed(TrainerError):
    """A command of the trainer ended with an error."""


@dataclass(frozen=True)
class Way:
    """The way from pictures and a GloVe file to a bundle, in its own folder."""

    pictures: Pictures
    glove: Path
    folder: Path
    backbone: str
    weights: str
    hidden: int
    epochs: int

    @property
    def network(self) -> Path:
        """The backbone's file."""
        return self.folder / "backbone.keras"

    @property
    def words(self) -> Path:
        """The folder of the vocabulary."""
        return self.folder / "words"

    def make_backbone(self) -> Step:
        """Write the backbone's file."""
        return self._timed("backbone", self.backbone, "--weights", self.weights, "--out", self.network)

    def to_bundle(self, report: Callable[[str], None]) -> Iterator[Step]:
        """Yield the steps from the backbone's file, the pictures and the words to the bundle, as they are done."""
        report("words")
        yield self._timed("words", "convert", self.glove, "--out", self.words)
        report("features")
        yield self._timed(
            "features", self.pictures.training, "--backbone", self.network, "--out", self.folder, "--no-mirror",
            "--cache", self.folder / "cache",
        )  # fmt: skip
        report("fit")
        yield self.fit("run")
        report("export")
        yield self._timed(
            "export", "--images", self.pictures.unseen, "--backbone", self.network, "--words", self.words,
            "--head", self.folder / "run" / "head.keras", "--out", self.folder / "bundle",
        )  # fmt: skip

    def fit(self, run: str, seed: int = 0) -> Step:
        """Train a head on the computed features."""
        return self._timed(
            "fit", "--features", self.folder / "training.npz", "--words", self.words, "--run", self.folder / run,
            "--loss", "cosine", "--hidden", self.hidden, "--epochs", self.epochs, "--seed", seed,
        )  # fmt: skip

    def epochs_run(self, run: str) -> int:
        """Return the number of epochs of a fit."""
        return len((self.folder / run / "metrics.jsonl").read_text().splitlines())

    def _timed(self, command: str, *arguments: object) -> Step:
        line = [sys.executable, "-m", "trainer", command, *map(str, arguments)]
        began = perf_counter()
        done = subprocess.run(line, env={**os.environ, "COLUMNS": "200"}, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CommandFailed(
                f"`trainer {command}` failed, so nothing can be measured. Its error output:\n{done.stderr}"
            )
        return Step(command, perf_counter() - began)
