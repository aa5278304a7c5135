"""Compare training the article's way, which recomputes features in every epoch, with this trainer in one run.

    make bench-train                          # 1,000 photos, 20 classes, VGG16, 100 epochs: about half an hour
    python -m benchmarks.training --images 100 --epochs 10
    python -m benchmarks.training --help

One epoch of the article's way is measured and multiplied by the number of epochs that this trainer ran. The weights are
random unless a file is given, because time does not depend on them. Compare the rows of one run, never two runs.
"""

from __future__ import annotations

import os
import platform
import signal
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from model.networks.loading_tensorflow import load_tensorflow

load_tensorflow()  # with oneDNN for both sides

import numpy as np
import typer
from rich.console import Console

from benchmarks.training.article import seconds_per_epoch
from benchmarks.training.commands import Way
from benchmarks.training.features import measure
from benchmarks.training.pictures import lay_out, write_glove
from benchmarks.training.results import Measured, bars
from benchmarks.training.table import bars_table, figures_table, write_json
from trainer.console import report_errors
from trainer.data_sets.reading import read_images
from trainer.features.computing import views_of
from trainer.features.extractors import extractor_of
from trainer.labels.space import Vocabulary
from trainer.words.word_space import read_word_space

_WIDTH = 120


@report_errors
def main(
    photos: Annotated[Path, typer.Option(help="Folder with classes.json and train-*.tar.")] = Path(
        "../shared/data/tiny-imagenet"
    ),
    images: Annotated[int, typer.Option(min=2, help="Number of photos.")] = 1_000,
    classes: Annotated[int, typer.Option(min=2, help="Number of classes.")] = 20,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of the head.")] = 100,
    backbone: Annotated[str, typer.Option(help="Name of a backbone, as for `python -m trainer backbone`.")] = "vgg16",
    weights: Annotated[str, typer.Option(help="`random`, `imagenet`, or a weights file from Keras.")] = "random",
    hidden: Annotated[int, typer.Option(min=1, help="Width of the head's hidden layer.")] = 2_000,
    unseen: Annotated[int, typer.Option(min=1, help="Photos of each class for evaluating the export.")] = 5,
    feature_images: Annotated[int, typer.Option(min=1, help="Photos in a round of features.")] = 64,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of features for each side.")] = 3,
    words: Annotated[Path, typer.Option(help="Folder of the vocabulary.", exists=True)] = Path("starter/bundle"),
    out: Annotated[Path, typer.Option(help="JSON file for the figures.")] = Path("benchmarks/results/training.json"),
) -> None:
    """Compare training from pictures to bundle with the article's way, which recomputes features in every epoch."""
    console = Console()
    console.width = max(console.width, _WIDTH)  # so that a table written to a file is not cut
    each = images // classes
    with tempfile.TemporaryDirectory() as name, console.status("photos and words") as status:
        folder = Path(name)
        pictures = lay_out(photos, words, classes, each, unseen, folder)
        write_glove(words, folder / "glove.txt")
        way = Way(pictures, folder / "glove.txt", folder, backbone, weights, hidden, epochs)
        status.update("this trainer: backbone")
        steps = [way.make_backbone()]
        for step in way.to_bundle(lambda command: status.update(f"this trainer: {command}")):
            steps.append(step)
            console.print(f"trainer {step.command}: {step.seconds:,.1f} s")
        status.update("another fit, with cached features")
        refit = way.fit("refit", seed=1)
        status.update("the article's way: one epoch")
        files = list(read_images([pictures.training]))
        targets = Vocabulary(read_word_space(words)).vectors([file.label for file in files])
        epoch_s = seconds_per_epoch(way.network, files, targets, hidden)
        console.print(f"the article's way: {epoch_s:,.1f} s per epoch")
        status.update("features against the bare network")
        some = [files[number] for number in np.linspace(0, len(files) - 1, min(feature_images, len(files)), dtype=int)]
        speed = measure(some, extractor_of(way.network), views_of(mirror=False), rounds, folder / "rounds")
        measured = Measured(
            backbone, len(files), classes, way.epochs_run("run"), epoch_s, tuple(steps), refit.seconds, speed
        )
    judged = list(bars(measured))
    console.print(figures_table(measured))
    console.print(bars_table(judged))
    write_json(out, measured, judged, _run(weights, hidden, unseen))
    console.print(f"All figures: {out}")


def _run(weights: str, hidden: int, unseen: int) -> dict[str, object]:
    return {
        "weights": weights,
        "hidden": hidden,
        "unseen": unseen,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "packages": {package: version(package) for package in ("keras", "tensorflow-cpu", "numpy")},
    }


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that its folder is removed and its processes are stopped
    typer.run(main)
