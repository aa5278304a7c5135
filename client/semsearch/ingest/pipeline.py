"""The Ray Data pipeline of an ingest: a task reads shards from the manifest, workers send them, this process records.

A worker that dies is replaced, and its shards are sent again. Only this process writes to the manifest, so the shards
that are on their way when it ends are sent again by the next run.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, DataContext

from semsearch.client import Client
from semsearch.errors import SemsearchError
from semsearch.ingest.manifest import Manifest, ShardOutcome, open_shards
from semsearch.ingest.places import ListedFile, Place
from semsearch.ingest.sending import ShardSender

# One shard that a worker sends, and the next.
_SHARDS_A_WORKER = 2


@dataclass(frozen=True)
class Target:
    """Where the images go: the gateway's address, a collection, and the first part of the images' paths."""

    server: str
    collection: str
    root: str


def send_all(manifest: Manifest, place: Place, target: Target, workers: int) -> Iterator[ShardOutcome]:
    """Send the manifest's open shards with Ray, which must be open; yield each outcome once it is recorded.

    Raises:
        SemsearchError: a worker gave up. What was sent stays, and another call does the rest.
    """
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = False
    context.target_max_block_size = 1  # every shard is a block, and so goes to a worker by itself
    here = {"ray.io/node-id": ray.get_runtime_context().get_node_id()}
    outcomes = (
        ray.data.from_items([0])
        .map_batches(partial(_shards, file=manifest.file), batch_format="pyarrow", num_cpus=0, label_selector=here)
        .map_batches(
            _Worker,
            fn_constructor_args=(place, target),
            batch_format="pyarrow",
            batch_size=1,
            num_cpus=1,
            compute=ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=_SHARDS_A_WORKER),
        )
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray doubts that one reading task can feed several workers
        try:
            for row in outcomes.iter_rows():
                outcome = ShardOutcome(**json.loads(row["outcome"]))
                manifest.record(outcome)
                yield outcome
        except ray.exceptions.RayError as error:
            cause: BaseException | None = error
            while cause is not None and not isinstance(cause, SemsearchError):
                cause = cause.__cause__
            raise cause or error from None


def _shards(_: pa.Table, *, file: Path) -> Iterator[pa.Table]:
    """Yield a row for each open shard."""
    for number, files in open_shards(file):
        yield pa.table({"number": [number], "files": [json.dumps([asdict(each) for each in files])]})


class _Worker:
    """Sends shards; in a process of its own, on some machine."""

    def __init__(self, place: Place, target: Target) -> None:
        self._sender = ShardSender(Client(target.server), target.collection, place, target.root)

    def __call__(self, shards: pa.Table) -> pa.Table:
        outcomes: list[Any] = []
        for row in shards.to_pylist():
            files = [ListedFile(**each) for each in json.loads(row["files"])]
            outcomes.append(json.dumps(asdict(self._sender.send(row["number"], files))))
        return pa.table({"outcome": outcomes})
