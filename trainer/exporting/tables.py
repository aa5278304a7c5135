"""What an export tells people: searches on the bundle, and what smaller weights cost."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from trainer.exporting.networks import MeasuredNetworks, cosines
from trainer.exporting.smoke_search import Found, HitsBesideChance, SmokeSearch
from trainer.measures.figures import shown

__all__ = ["print_searches", "print_weights"]

_FIGURES = ("hit@1", "hit@5", "word_hit@1", "label_precision@10", "image_precision@10", "tagged@5")


def print_searches(console: Console, searches: SmokeSearch, hits: HitsBesideChance) -> None:
    """Prints what searches found, nearest first with relevance, and a warning where they are no better than chance."""
    table = Table(
        "search", "finds", title=f"Searches on the bundle ({searches.pictures} pictures)", title_justify="left"
    )
    for asked in (searches.by_word, searches.tags):
        for query, found in asked.items():
            table.add_row(escape(query), escape(_told(found)))
        table.add_section()
    console.print(table)
    figures = f"hit@{hits.k} of the labels' words is {hits.hit:.3f}, by chance {hits.chance:.3f}"
    console.print(figures)
    if searches.unknown:
        console.print(
            f"Warning: the embedder does not find {', '.join(map(repr, searches.unknown))}, so no search by these "
            "labels will. It looks words up in lower case: convert the words with --lowercase.",
            markup=False,
        )
    if not hits.above:
        console.print(
            f"Warning: searches on this bundle are no better than chance ({figures}, ± {hits.margin:.3f}). It is "
            "written all the same. Is the head of this backbone, and of these words and labels? Was it trained enough?",
            markup=False,
        )


def print_weights(console: Console, given: MeasuredNetworks, smaller: MeasuredNetworks, name: str) -> None:
    """Prints the networks with smaller weights beside those they were made from."""
    table = Table("", "as given", name, title="What smaller weights cost", title_justify="left")
    sides = given, smaller
    table.add_row("backbone and head, MB", *(f"{each.bytes / 1e6:,.1f}" for each in sides))
    for figure in _FIGURES:
        values = [each.evaluation.metrics().get(figure) for each in sides]
        table.add_row(figure, *(shown(figure, value) for value in values))
    near = cosines(given, smaller)
    table.add_row("cosine to the vector as given, mean", "", f"{near.mean():.4f}")
    table.add_row("cosine to the vector as given, worst", "", f"{near.min():.4f}")
    table.add_row("ms a picture alone, on this machine", *(f"{each.milliseconds:.1f}" for each in sides))
    console.print(table)


def _told(found: Iterable[Found]) -> str:
    return "\n".join(f"{each.name}{f' ({each.label})' if each.label else ''} {each.relevance:.2f}" for each in found)
