"""The command `python -m benchmarks.activation`: time a switch to a model with many words while searches run."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from semsearch import Client, ServerNotReady

from benchmarks.activation.bundle import write_large_bundle
from benchmarks.service_process import Running, running

_PAUSE = 0.05


def main(
    words: Annotated[int, typer.Option(min=1, help="Words of the new model.")] = 400_000,
    bundle: Annotated[Path, typer.Option(help="Bundle of the old model, and of the new model's networks.")] = Path(
        "starter/bundle"
    ),
    keep: Annotated[Path | None, typer.Option(help="Folder for bundle, data and logs; or a temporary one.")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file for the figures.")] = None,
) -> None:
    """Switch to a model with many words while searches with the old model run."""
    with ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        large = folder / "data" / "models" / "large"
        if not large.exists():
            write_large_bundle(bundle, words, large)
        data = folder / "data"
        embedder = stack.enter_context(running("embedder_service", data, f"--default-bundle={bundle.absolute()}"))
        index = stack.enter_context(running("index_service", data))
        gateway = stack.enter_context(
            running("gateway", data, f"--embedder={embedder.address}", f"--index={index.address}")
        )
        print(
            f"processes: embedder {embedder.process_id}, index {index.process_id}, gateway {gateway.process_id}",
            flush=True,
        )
        services = {"embedder": embedder, "index": index, "gateway": gateway}
        figures = _measure(gateway.address, services)
    print(json.dumps(figures, indent=2))
    if out is not None:
        out.write_text(json.dumps({"words": words, **figures}, indent=2) + "\n", encoding="utf-8")


def _measure(address: str, services: dict[str, Running]) -> dict[str, float]:
    with Client(address) as client:
        _wait_for_words(client)
        alone = _searches(client, threading.Event(), 100)
        switched = threading.Event()
        during: list[float] = []
        searcher = threading.Thread(target=lambda: during.extend(_searches(client, switched)))
        searcher.start()
        before = {name: service.cpu_seconds() for name, service in services.items()}
        began, filled = time.perf_counter(), 0.0
        try:
            for step in client.activate_model("large"):
                filled = filled or (step.words_done == step.words_total > 0) * (time.perf_counter() - began)
        finally:
            switched.set()
            searcher.join()
        seconds = time.perf_counter() - began
        after = _searches(client, threading.Event(), 50)
    return {
        "switch_seconds": round(seconds, 1),
        "filled_after_seconds": round(filled, 1),
        **{f"{name}_cpu_seconds": round(each.cpu_seconds() - before[name], 1) for name, each in services.items()},
        **{f"search_alone_p{p}_ms": _percentile(alone, p) for p in (50, 99, 100)},
        **{f"search_meanwhile_p{p}_ms": _percentile(during, p) for p in (50, 99, 100)},
        **{f"search_right_after_p{p}_ms": _percentile(after, p) for p in (50, 99, 100)},
        "searches_meanwhile": len(during),
    }


def _wait_for_words(client: Client) -> None:
    for _ in range(600):
        with suppress(ServerNotReady):
            if client.similar_words("dog", page_size=1).words:
                return
        time.sleep(0.5)


def _searches(client: Client, ended: threading.Event, most: int = 10**9) -> list[float]:
    """Search for words like `dog` repeatedly with pauses; return the milliseconds of each search."""
    took: list[float] = []
    while not ended.wait(_PAUSE) and len(took) < most:
        began = time.perf_counter()
        client.similar_words("dog", page_size=10)
        took.append(1000 * (time.perf_counter() - began))
    return took


def _percentile(values: list[float], percent: int) -> float:
    return round(float(np.percentile(values, percent)), 1)


if __name__ == "__main__":
    typer.run(main)
