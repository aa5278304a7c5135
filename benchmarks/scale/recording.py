"""Records how much processor time real services take, and how much real embedders do side by side.

The kernel counts a process's processor time in nanoseconds (`/proc/PID/task/*/schedstat`, Linux). What the services do
between calls is in the samples too: it is part of what they cost.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count, cycle
from pathlib import Path

import grpc
from semsearch import Client, SemsearchError
from semsearch.embedder.v1 import embedder_service_pb2 as pb
from semsearch.embedder.v1 import embedder_service_pb2_grpc as pb_grpc

from benchmarks.gateway_processes import WORDS
from benchmarks.scale.demands import Demands, Sample
from benchmarks.service_process import Running, running

BATCHES = (1, 2, 4, 8, 16, 32)
_GALLERY = Path("starter/gallery")
_READY_SECONDS = 60.0
# A stream of one image would pay for the stream and a commit alone.
_IMAGES_A_STREAM = 20
_CALL_SECONDS = 120.0


def processor_ms(service: Running) -> float:
    """Return the milliseconds of processor time that a process has used so far, over all its threads."""
    tasks = Path(f"/proc/{service.process_id}/task").glob("*/schedstat")
    return sum(int(each.read_text().split()[0]) for each in tasks) / 1e6


def record(data: Path, model: str, calls: int) -> Demands:
    """Start the three services on an empty folder, and take samples of single calls."""
    with ExitStack() as stack:
        embedder = stack.enter_context(running("embedder_service", data, f"--default-model={model}"))
        index = stack.enter_context(running("index_service", data))
        backends = (f"--embedder={embedder.address}", f"--index={index.address}")
        gateway = stack.enter_context(running("gateway", data, *backends))
        client = stack.enter_context(Client(gateway.address))
        _wait_until_ready(client)
        files = [file.read_bytes() for file in sorted(_GALLERY.glob("*.webp"))]
        streams = (files[start : start + _IMAGES_A_STREAM] for start in count(0, _IMAGES_A_STREAM))
        added = list(_costs(lambda: _add(client, next(streams)), (gateway, index), len(files) // _IMAGES_A_STREAM))
        words = cycle(WORDS)
        searched = list(_costs(lambda: client.search_by_text(next(words)), (gateway, index), calls))
        stub = pb_grpc.EmbedderServiceStub(stack.enter_context(grpc.insecure_channel(embedder.address)))
        pictures = cycle(files)
        batches = {}
        for size in BATCHES:
            request = pb.EmbedImagesRequest(images=[pb.ImageInput(content=next(pictures)) for _ in range(size)])
            costs = _costs(partial(stub.EmbedImages, request), (embedder,), max(8, calls // size))
            batches[size] = tuple(embedding for [embedding] in costs)
    return Demands(
        model=Path(model).name if "/" in model else model,
        processor=platform.processor() or platform.machine(),
        search_gateway=_column(searched, 0),
        search_index=_column(searched, 1),
        image_gateway=_column(added, 0, _IMAGES_A_STREAM),
        image_index=_column(added, 1, _IMAGES_A_STREAM),
        batches=batches,
    )


@dataclass(frozen=True)
class Measured:
    """How many images a second a number of embedders computed together, and how many cores' time they used for it."""

    embedders: int
    per_second: float
    cores: float


def measure_embedders(data: Path, model: str, most: int, seconds: float, rounds: int, callers: int) -> list[Measured]:
    """Let callers share images out to 1, 2, … embedders, in rounds that alternate."""
    with ExitStack() as stack:
        embedders = [
            stack.enter_context(running("embedder_service", data / str(number), f"--default-model={model}"))
            for number in range(most)
        ]
        channels = [stack.enter_context(grpc.insecure_channel(each.address)) for each in embedders]
        files = [file.read_bytes() for file in sorted(_GALLERY.glob("*.webp"))]
        pool = stack.enter_context(ThreadPoolExecutor(callers))
        sums = {number: [0.0, 0.0, 0.0] for number in range(1, most + 1)}
        for round_number in range(rounds + 1):
            for used, totals in sums.items():
                stubs = [pb_grpc.EmbedderServiceStub(each) for each in channels[:used]]
                before = sum(processor_ms(each) for each in embedders[:used])
                began = time.monotonic()
                images = sum(
                    pool.map(lambda number, stubs=stubs: _embed(stubs, files, number, seconds), range(callers))
                )
                elapsed = time.monotonic() - began
                spent = sum(processor_ms(each) for each in embedders[:used]) - before
                if round_number:  # the first one warms up
                    for position, value in enumerate((images, elapsed, spent)):
                        totals[position] += value
    return [
        Measured(used, images / elapsed, spent / 1_000 / elapsed) for used, (images, elapsed, spent) in sums.items()
    ]


def _embed(stubs: list[pb_grpc.EmbedderServiceStub], files: Sequence[bytes], number: int, seconds: float) -> int:
    """Send images one by one for some seconds; return how many."""
    done = 0
    turns, pictures = cycle(stubs[number % len(stubs) :] + stubs[: number % len(stubs)]), cycle(files[number:])
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        request = pb.EmbedImagesRequest(images=[pb.ImageInput(content=next(pictures))])
        next(turns).EmbedImages(request, timeout=_CALL_SECONDS)
        done += 1
    return done


def _costs(call: Callable[[], object], services: Sequence[Running], calls: int) -> Iterator[list[float]]:
    """Yield what each call costs each service in processor time; the first ones warm up and are left out."""
    for number in range(calls):
        before = [processor_ms(each) for each in services]
        call()
        if number >= calls // 10:
            yield [round(processor_ms(each) - start, 3) for each, start in zip(services, before, strict=True)]


def _column(rows: Sequence[Sequence[float]], number: int, of: int = 1) -> Sample:
    return tuple(round(row[number] / of, 3) for row in rows)


def _add(client: Client, images: Sequence[bytes]) -> None:
    assert all(result.error is None for result in client.index_images(images))


def _wait_until_ready(client: Client) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            client.search_by_text("dog")
        except SemsearchError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
