"""Images per second from files to cached features, compared with the bare network on decoded pictures.

    python -m benchmarks.training.features PHOTOS --backbone mobilenetv2

Rounds of both alternate, so that other load on the machine affects each equally. Two ratios are reported: the median of
all rounds' ratios, and the ratio of the fastest rounds of both, which other load disturbed least.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from trainer.data_sets.reading import SUFFIXES, LabelledFile
from trainer.features.cache import CacheSpec, FeatureCache
from trainer.features.computing import VIEWS, Extractor, compute_features

BATCH = 64


@dataclass(frozen=True)
class Round:
    """Images per second of the bare network, and from files to the cache."""

    bare: float
    whole: float


@dataclass(frozen=True)
class FeatureSpeed:
    """The rounds of a measurement."""

    rounds: tuple[Round, ...]

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        return median(each.whole / each.bare for each in self.rounds)

    @property
    def fastest_ratio(self) -> float:
        """The ratio of the fastest rounds of both."""
        return max(each.whole for each in self.rounds) / max(each.bare for each in self.rounds)


def measure(
    files: Sequence[LabelledFile], extractor: Extractor, looks: tuple[str, ...], rounds: int, folder: Path
) -> FeatureSpeed:
    """Measure both in turns; `folder` holds the caches, one per round."""
    names = sorted({label for file in files for label in file.labels})
    batches = _decoded(files, extractor, looks)
    for batch in (batches[0], batches[-1]):
        extractor.network(batch)  # graphs for both sizes
    return FeatureSpeed(
        tuple(
            Round(
                _per_second(len(files), lambda: [extractor.network(batch) for batch in batches]),
                _per_second(len(files), _pipeline(files, names, extractor, looks, folder / f"cache-{number}")),
            )
            for number in range(rounds)
        )
    )


def main(
    photos: Annotated[Path, typer.Argument(help="Folder of photos, at any depth.", exists=True, file_okay=False)],
    backbone: Annotated[str, typer.Option(help="Name of a network, as for `python -m trainer backbone`.")] = (
        "mobilenetv2"
    ),
    images: Annotated[int, typer.Option(min=1, help="Number of photos.")] = 100,
    views: Annotated[int, typer.Option(min=1, max=len(VIEWS), help="Views of each photo; training uses all.")] = (
        len(VIEWS)
    ),
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each side.")] = 7,
    out: Annotated[Path, typer.Option(help="JSON file for the figures.")] = Path("benchmarks/results/features.json"),
) -> None:
    """Compare the speed of computing features with that of the bare network."""
    paths = islice((path for path in sorted(photos.rglob("*")) if path.suffix.lower() in SUFFIXES), images)
    files = [LabelledFile(path.name, path.read_bytes(), ("photo",)) for path in paths]
    looks = tuple(VIEWS)[:views]
    with tempfile.TemporaryDirectory() as folder:
        extractor = _extractor(backbone, Path(folder))
        speed = measure(files, extractor, looks, rounds, Path(folder))
    table = Table("round", "bare network, images/s", "files to cache, images/s", "ratio")
    for number, each in enumerate(speed.rounds, start=1):
        table.add_row(str(number), f"{each.bare:.1f}", f"{each.whole:.1f}", f"{each.whole / each.bare:.3f}")
    console = Console()
    console.print(table)
    console.print(
        f"{backbone}, {len(files)} photos, {views} views, {os.cpu_count()} cores: {speed.ratio:.3f} of the network's "
        f"speed in the median, {speed.fastest_ratio:.3f} in the fastest rounds"
    )
    figures = {
        "backbone": backbone,
        "photos": len(files),
        "views": views,
        "cores": os.cpu_count(),
        "ratio": speed.ratio,
        "fastest_ratio": speed.fastest_ratio,
        "rounds": [asdict(each) for each in speed.rounds],
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(figures, indent=2) + "\n")


def _extractor(backbone: str, folder: Path) -> Extractor:
    from trainer.backbones.building import build_backbone, save_backbone
    from trainer.features.extractors import extractor_of

    file = folder / "backbone.keras"
    save_backbone(build_backbone(backbone, "random"), file)
    return extractor_of(file)


def _decoded(files: Sequence[LabelledFile], extractor: Extractor, looks: Sequence[str]) -> list[NDArray[np.uint8]]:
    """Return the batches for the network, (images · views, size, size, 3)."""
    pictures = [extractor.decode(file.content) for file in files]
    return [
        np.stack([VIEWS[look](picture) for picture in pictures[start : start + BATCH] for look in looks])
        for start in range(0, len(pictures), BATCH)
    ]


def _pipeline(
    files: Sequence[LabelledFile], names: Sequence[str], extractor: Extractor, looks: tuple[str, ...], folder: Path
) -> Callable[[], object]:
    def compute() -> None:
        with FeatureCache(folder, CacheSpec(extractor.name, looks, extractor.dimension)) as cache:
            compute_features(files, names, extractor, cache, BATCH)

    return compute


def _per_second(images: int, work: Callable[[], object]) -> float:
    began = perf_counter()
    work()
    return images / (perf_counter() - began)


if __name__ == "__main__":
    typer.run(main)
