"""What photos of single senses told, for people and for machines."""

from __future__ import annotations

import json

from rich.console import Console
from rich.table import Table

from trainer.evaluation.photos import PhotoFigures

__all__ = ["as_json", "print_photos"]

_SHOWN = 15


def print_photos(console: Console, model: str, figures: PhotoFigures) -> None:
    """Prints the figures, and some of the photos whose first tags are all wrong."""
    table = Table("", "share", title=f"{model}: {figures.photos} photos")
    table.add_row("right word among the first five of the whole vocabulary", f"{figures.tagged:.3f}")
    table.add_row("right word among the first five taggable words", f"{figures.tagged_taggable:.3f}")
    known = f"({figures.lemma_known} photos)"
    table.add_row(f"own lemma among the first ten of the whole vocabulary {known}", f"{figures.lemma:.3f}")
    table.add_row(f"own lemma among the first ten taggable words {known}", f"{figures.lemma_taggable:.3f}")
    mean = figures.metrics().get("photos_kind_precision@10", float("nan"))
    table.add_row(f"precision@10 of searches by kind ({len(figures.kinds)} kinds)", f"{mean:.3f}")
    console.print(table)
    for name, tags in list(figures.missed.items())[:_SHOWN]:
        console.print(f"{name}: {', '.join(tags)}", markup=False)
    if len(figures.missed) > _SHOWN:
        console.print(f"… and {len(figures.missed) - _SHOWN} more without a right word")


def as_json(model: str, figures: PhotoFigures) -> str:
    """The same, with every kind and every photo that was missed."""
    return json.dumps(
        {"model": model, "metrics": figures.metrics(), "kinds": figures.kinds, "missed": figures.missed},
        indent=2,
        ensure_ascii=False,
    )
