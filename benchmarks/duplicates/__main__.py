"""Measure the rule "same picture" on photos and copies of them: `python -m benchmarks.duplicates --photos FOLDER`.

Each photo is saved in other qualities, sizes and formats. Pages of text, gradients and plain pictures are added: they
look alike but differ. All pairs are compared, by the hashes and vectors that the embedder would compute.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.duplicates.pairs import CopyKind, Pairs, Rule
from benchmarks.duplicates.pictures import look_alikes, photos_with_copies
from gateway.collections.same_picture import MAX_BITS, MIN_COSINE, hashes_of
from model.bundle.reading import open_bundle
from model.images import decode

_BATCH = 32
_THUMBNAIL_EDGE = 320
_BITS = (8, 16, 20, 24, 28, 32, 40, 48, 64)
_COSINES = (-1.0, 0.2, 0.3, 0.4, 0.6, 0.8)


def main(
    photos: Annotated[Path, typer.Option(help="Folder of photos, all different.", exists=True, file_okay=False)],
    bundle: Annotated[Path, typer.Option(help="Bundle of the model, for example var/models/photos-….")] = Path(
        "starter/bundle"
    ),
    most: Annotated[int, typer.Option(min=1, help="Maximum number of photos.")] = 10_000,
    alike: Annotated[
        int, typer.Option(min=1, help="Number of pages, plain pictures and gradients of each kind.")
    ] = 100,
    out: Annotated[Path | None, typer.Option(help="JSON file for the figures.")] = None,
) -> None:
    """Print how well copies are distinguished from other pictures, by the rule's bounds and by the kind of copy."""
    opened = open_bundle(bundle)
    shows, kinds, looks = [], [], []
    vectors, waiting = [], []
    for picture in chain(photos_with_copies(photos, most), look_alikes(alike)):
        manifest = opened.manifest
        decoded = decode(
            picture.content, size=manifest.input_size, resize=manifest.resize, thumbnail_edge=_THUMBNAIL_EDGE
        )
        shows.append(picture.shows)
        kinds.append(picture.kind)
        looks.append(decoded.perceptual_hash.hex())
        waiting.append(decoded.pixels)
        if len(waiting) == _BATCH:
            vectors.append(opened.network(np.stack(waiting)))
            waiting = []
    if waiting:
        vectors.append(opened.network(np.stack(waiting)))
    pairs = Pairs(shows, kinds, hashes_of(looks), np.concatenate(vectors))
    rules = [pairs.rule(bits, cosine) for bits in _BITS for cosine in _COSINES]
    chosen = pairs.rule(MAX_BITS, MIN_COSINE)
    copies = list(pairs.kinds(MAX_BITS, MIN_COSINE))
    console = Console()
    console.print(
        _rules_table(rules, f"{len(shows):,} pictures, {pairs.same_count:,} pairs of copies, {pairs.count:,} in all")
    )
    console.print(_copies_table(copies, chosen))
    if out is not None:
        figures = {
            "model": opened.manifest.id,
            "pictures": len(shows),
            "pairs": pairs.count,
            "copy_pairs": pairs.same_count,
            "chosen": asdict(chosen),
            "rules": [asdict(each) for each in rules],
            "copies": [asdict(each) for each in copies],
        }
        out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _rules_table(rules: list[Rule], title: str) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        caption="recall of copies that are not cut (pairs wrongly found the same)",
        caption_justify="left",
    )
    table.add_column("bits", justify="right")
    for cosine in _COSINES:
        table.add_column("any cosine" if cosine < 0 else f"cosine ≥ {cosine}", justify="right")
    for start in range(0, len(rules), len(_COSINES)):
        row = rules[start : start + len(_COSINES)]
        table.add_row(f"≤ {row[0].most_bits}", *(f"{each.recall:.3f} ({each.wrong_pairs:,})" for each in row))
    return table


def _copies_table(copies: list[CopyKind], chosen: Rule) -> Table:
    title = (
        f"≤ {chosen.most_bits} bits, cosine ≥ {chosen.least_cosine}: "
        f"precision {chosen.precision:.4f}, recall {chosen.recall:.4f}"
    )
    table = Table(title=title, title_justify="left")
    for name in ("copy", "bits, median", "99 %", "cosine, median", "1 %", "found"):
        table.add_column(name, justify="left" if name == "copy" else "right")
    for each in copies:
        table.add_row(
            each.kind,
            f"{each.bits_median:.0f}",
            f"{each.bits_p99:.0f}",
            f"{each.cosine_median:.3f}",
            f"{each.cosine_p1:.3f}",
            f"{each.found:.3f}",
        )
    return table


if __name__ == "__main__":
    typer.run(main)
