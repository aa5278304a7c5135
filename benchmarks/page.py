"""Time from the last key to painted results, in Chromium: `python -m benchmarks.page`.

    make run-all                   # in one terminal
    python -m benchmarks.page      # in another

Two kinds of queries alternate, so that other load on the machine affects both equally: words whose vectors the gateway
has cached, and the same words with a weight that nobody has written before, which the embedder has to read. Neither
kind is in the lists that the page keeps. The thumbnails are in the browser's cache.
"""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Annotated

import typer
from playwright.sync_api import Page, sync_playwright
from rich.console import Console
from rich.table import Table

from benchmarks.load import Latencies

# More than the page keeps lists, and no two neighbours show the same first image.
WORDS = ("banana", "car", "elephant", "apple", "dog", "boat", "cat", "bus", "flower", "bird", "sofa", "pizza")
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
TIME_TO_PAINT = """async (query) => {
  const input = document.querySelector("input[type=search]");
  const first = () => document.querySelector('[data-index="0"] img');
  const before = first()?.src;
  input.value = query;
  const start = performance.now();
  input.dispatchEvent(new InputEvent("input", {bubbles: true}));
  for (;;) {
    await new Promise(requestAnimationFrame);
    const image = first();
    if (image && image.src !== before && image.complete && image.naturalWidth) break;
    if (performance.now() - start > 10_000) throw new Error(`No other first image within 10 s: ${query}`);
  }
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  return performance.now() - start;
}"""


def main(
    url: Annotated[str, typer.Option(help="Where the page is.")] = "http://localhost:8080",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds through all words, after one to warm up.")] = 8,
    out: Annotated[Path, typer.Option(help="JSON file for the figures.")] = Path("benchmarks/results/page.json"),
) -> None:
    """Print the time to painted results, for queries that the gateway has cached and for new ones."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise typer.BadParameter("There is no Chromium: install the package chromium.")
    taken: dict[str, list[float]] = {"cached": [], "not cached": []}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"{url}/?q={WORDS[-1]}&cut=0")
        page.locator(".tile").first.wait_for()
        for number in range(rounds + 1):
            cached = [_time(page, word) for word in WORDS]
            new = [_time(page, f"{word}^{random.uniform(1, 2):.9f}") for word in WORDS]
            if number:
                taken["cached"] += cached
                taken["not cached"] += new
        browser.close()
    table = Table("queries", "count", "p50 ms", "p95 ms")
    figures = {}
    for kind, milliseconds in taken.items():
        latencies = Latencies(tuple(milliseconds), sum(milliseconds) / 1_000)
        p50, p95 = latencies.quantile(0.5), latencies.quantile(0.95)
        figures[kind] = {"count": len(milliseconds), "p50_ms": p50, "p95_ms": p95}
        table.add_row(kind, str(len(milliseconds)), f"{p50:.0f}", f"{p95:.0f}")
    Console().print(table)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _time(page: Page, query: str) -> float:
    """Write a query as if its last key was pressed now; return the milliseconds until its first image is painted."""
    return float(page.evaluate(TIME_TO_PAINT, query))


if __name__ == "__main__":
    typer.run(main)
