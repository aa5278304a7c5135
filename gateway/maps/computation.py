"""Run the process that computes a map (see `computing`), and read its progress and results."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from gateway.errors import MapFailed
from gateway.maps.computing import NEIGHBORLY, OUT_OF_MEMORY
from gateway.maps.regions import Regions

_COMPLAINT_BYTES = 4_096


@dataclass(frozen=True)
class Share:
    """The fraction of a stage ("neighbors" or "layout") that is done."""

    stage: str
    fraction: float


@dataclass(frozen=True)
class Computed:
    """Computed places, and their regions."""

    neighborly: bool
    places: NDArray[np.float32]
    regions: Regions


async def compute(
    folder: Path, dimension: int, threads: int, memory_bytes: int
) -> AsyncGenerator[Share | Computed, None]:
    """Yield the progress and the results, the principal places first; close the generator to stop the process.

    Args:
        folder: Where the vectors are, and where the process writes its results.
        dimension: The number of elements in a vector.
        threads: How many threads the process may use.
        memory_bytes: How much memory it may allocate.

    Raises:
        MapFailed: the process ended without its result.
    """
    arguments = [str(folder), str(dimension), str(threads), str(memory_bytes)]
    # Not asyncio's: uvloop forks in a way that gRPC complains about.
    process = subprocess.Popen(  # noqa: S603, ASYNC220 — our own module; it returns at once
        [sys.executable, "-m", "gateway.maps.computing", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,  # so that Ctrl-C reaches only the gateway, which stops the process
    )
    assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018 — both are pipes
    loop = asyncio.get_running_loop()
    # Not the loop's own threads, because these wait for minutes.
    with process, ThreadPoolExecutor(2, thread_name_prefix="map") as readers:
        try:
            complaining = loop.run_in_executor(readers, _end_of, process.stderr)
            while line := await loop.run_in_executor(readers, process.stdout.readline):
                message = json.loads(line)
                if "written" in message:
                    yield await asyncio.to_thread(_read, folder / message["written"])
                else:
                    yield Share(message["stage"], message["fraction"])
            complaint = await complaining
        except BaseException:
            process.kill()
            # Not left to the `with`, which would block the event loop while gigabytes are freed.
            await asyncio.to_thread(process.wait)
            raise
    if process.returncode:
        raise MapFailed(_reason(process.returncode, complaint, memory_bytes))


def _read(file: Path) -> Computed:
    with np.load(file) as arrays:
        regions = Regions(arrays["counts"], arrays["middles"], arrays["means"], arrays["rows"])
        return Computed(file.name == NEIGHBORLY, arrays["places"], regions)


def _end_of(stream: IO[bytes]) -> str:
    """Read a stream to its end and return the last of it."""
    kept = b""
    while part := stream.read(_COMPLAINT_BYTES):
        kept = (kept + part)[-_COMPLAINT_BYTES:]
    return kept.decode(errors="replace").strip()


def _reason(status: int, complaint: str, memory_bytes: int) -> str:
    limit = f"{memory_bytes // 2**20:,} MiB"
    if status == OUT_OF_MEMORY:
        return (
            f"it needs more memory than the {limit} that it may use; raise SEMSEARCH_GATEWAY_MAP_MEMORY_BYTES and "
            "compute it again"
        )
    if status < 0:
        return (
            f"the process that computed it was ended by {signal.Signals(-status).name}; the machine may lack memory "
            f"(it may use up to {limit})"
        )
    last = complaint.splitlines()[-1:] or ["it gave no reason"]
    return f"the process that computed it ended with status {status}: {last[0][:200]}"
