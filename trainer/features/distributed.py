"""Run a backbone over a data set with Ray Data: one task reads, workers compute, this process fills the cache.

Contract: the cache gets the rows that `computing.computed_here` would write, in the same order. Every batch has the
same images, because what an image's features are to the last bit can depend on the others of its batch. Only this
process writes to the cache, so a batch that Ray computes twice, since a worker died, is written once.

The reading task runs on this machine, where the data set and the cache are. A row of the pipeline is one batch. Memory
is bounded by Ray's object store: nothing is read while it is full.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, DataContext

from model.networks.loading_tensorflow import load_tensorflow
from model.networks.pixel_scale import PixelScale
from trainer.errors import TrainerError
from trainer.features.cache import CacheSpec, FeatureCache, read_keys
from trainer.features.computing import BATCH, LabelledImage, Pixels, Seen, Undecodable, features_of, in_batches

# Two batches for each worker: one that it computes, and the next.
_BATCHES_A_WORKER = 2
_BATCH = pa.schema(
    [
        ("images", pa.string()),  # JSON: key, labels and digest of every image
        ("digests", pa.list_(pa.binary())),  # of those to compute
        ("contents", pa.large_list(pa.large_binary())),
    ]
)
_COMPUTED = pa.schema(
    [
        ("images", pa.string()),
        ("digests", pa.list_(pa.binary())),
        ("problems", pa.list_(pa.string())),  # why a picture cannot be decoded; "" if it can
        ("features", pa.large_binary()),  # float32 of the others
    ]
)


@dataclass(frozen=True)
class BackboneFile:
    """A backbone that travels to the workers: its file's name and bytes, and how it is opened."""

    name: str
    content: bytes
    input_size: int | None
    feature_layer: str
    pixel_scale: PixelScale | None


@dataclass(frozen=True)
class _Image:
    """An image without its bytes."""

    key: str
    labels: tuple[str, ...]
    content: bytes = b""


def computed_by_ray(
    images: Iterable[LabelledImage], backbone: BackboneFile, cache: FeatureCache, workers: int, batch_size: int = BATCH
) -> Iterator[Seen]:
    """Yield every image once its features are in the cache, or once it proves undecodable.

    `images` is sent to another process, which iterates over it.
    """
    shape = cache.spec.row_shape
    problems: dict[bytes, str] = {}
    for batch in _pipeline(images, backbone, cache, workers, batch_size):
        found = dict(zip(batch["digests"], batch["problems"], strict=True))
        problems |= {digest: problem for digest, problem in found.items() if problem}
        if computed := [digest for digest, problem in found.items() if not problem]:
            cache.append(computed, np.frombuffer(batch["features"], np.float32).reshape(-1, *shape))
        for key, labels, digest in json.loads(batch["images"]):
            problem = problems.get(bytes.fromhex(digest))
            undecodable = None if problem is None else Undecodable(problem)
            yield Seen(_Image(key, tuple(labels)), bytes.fromhex(digest), undecodable=undecodable)


def _pipeline(
    images: Iterable[LabelledImage], backbone: BackboneFile, cache: FeatureCache, workers: int, batch_size: int
) -> Iterator[dict[str, Any]]:
    """Yield rows of `_COMPUTED` in the order of the images."""
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    context.target_max_block_size = 1  # every row is a block, and so goes to a worker as soon as it is read
    here = {"ray.io/node-id": ray.get_runtime_context().get_node_id()}
    read = partial(_read, images=images, cache=cache.folder, spec=cache.spec, batch_size=batch_size)
    rows = (
        ray.data.from_items([0])
        .map_batches(read, batch_format="pyarrow", num_cpus=0, label_selector=here)
        .map_batches(
            _Worker,
            fn_constructor_args=(backbone, cache.spec),
            batch_format="pyarrow",
            batch_size=1,
            num_cpus=1,
            compute=ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=_BATCHES_A_WORKER),
        )
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray doubts that one reading task can feed several workers
        try:
            yield from rows.iter_rows()
        except ray.exceptions.RayError as error:
            cause: BaseException | None = error
            while cause is not None and not isinstance(cause, TrainerError):
                cause = cause.__cause__
            raise cause or error from None


def _read(
    _: pa.Table, *, images: Iterable[LabelledImage], cache: Path, spec: CacheSpec, batch_size: int
) -> Iterator[pa.Table]:
    """Yield a row of `_BATCH` for each batch; images in the cache and copies of earlier ones are not sent."""
    known = {key.tobytes() for key in read_keys(cache, spec)}
    for batch in in_batches(images, batch_size):
        described, new = [], {}
        for image in batch:
            digest = hashlib.sha256(image.content).digest()
            described.append((image.key, image.labels, digest.hex()))
            if digest not in known:
                known.add(digest)
                new[digest] = image.content
        row = {"images": json.dumps(described), "digests": list(new), "contents": list(new.values())}
        yield pa.Table.from_pylist([row], _BATCH)


class _Worker:
    """Decodes and computes batches on one core of some machine."""

    def __init__(self, backbone: BackboneFile, spec: CacheSpec) -> None:
        load_tensorflow(threads=1)
        from trainer.features.extractors import extractor_of

        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, backbone.name)
            file.write_bytes(backbone.content)
            self._extractor = extractor_of(
                file, backbone.input_size, backbone.feature_layer, pixel_scale=backbone.pixel_scale
            )
        self._views = spec.views

    def __call__(self, batch: pa.Table) -> pa.Table:
        [row] = batch.to_pylist()
        pictures: list[Pixels] = []
        problems = []
        for content in row["contents"]:
            try:
                pictures.append(self._extractor.decode(content))
                problems.append("")
            except Undecodable as error:
                problems.append(str(error))
        features = features_of(pictures, self._extractor, self._views).tobytes() if pictures else b""
        done = {"images": row["images"], "digests": row["digests"], "problems": problems, "features": features}
        return pa.Table.from_pylist([done], _COMPUTED)
