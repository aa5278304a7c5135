"""How much processor time the services take for a search or an image: samples of real ones, in a JSON file.

Processor time, not elapsed time, because it hardly depends on what else the machine does. Every sample is one call.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

FILE = Path(__file__).parent / "demands.json"
Sample = tuple[float, ...]


@dataclass(frozen=True)
class Demands:
    """Milliseconds of processor time.

    `batches` maps the number of images of an embedder's batch to samples for the whole batch; the others are for one
    search or one image.
    """

    model: str
    processor: str
    search_gateway: Sample
    search_index: Sample
    image_gateway: Sample
    image_index: Sample
    batches: Mapping[int, Sample]

    @classmethod
    def read(cls, file: Path = FILE) -> Demands:
        """Read what `write` wrote."""
        stored = json.loads(file.read_text())
        batches = {int(size): tuple(sample) for size, sample in stored.pop("batches").items()}
        model, processor = stored.pop("model"), stored.pop("processor")
        samples = {name: tuple(sample) for name, sample in stored.items()}
        return cls(model=model, processor=processor, batches=batches, **samples)

    def write(self, file: Path = FILE) -> None:
        """Write the samples."""
        file.write_text(json.dumps(asdict(self)) + "\n")

    def draw_batch(self, images: int, random: np.random.Generator) -> float:
        """Draw the milliseconds of a batch: of the nearest size that was measured, in proportion."""
        size = min(self.batches, key=lambda each: abs(each - images))
        return draw(self.batches[size], random) * images / size


def draw(sample: Sample, random: np.random.Generator) -> float:
    """Draw one of the measured values."""
    return sample[random.integers(len(sample))]
