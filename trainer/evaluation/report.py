"""An evaluation for people, as tables, and for machines, as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from trainer.evaluation.evaluate import Evaluation, QueryPrecision

__all__ = ["as_json", "print_report"]

_WORST = 5


def print_report(console: Console, model_id: str, evaluation: Evaluation, unreadable: Sequence[str]) -> None:
    """Prints the figures, and which words do worst."""
    console.print(f"{model_id}: {evaluation.images:,} images of {evaluation.classes} classes")
    hits = Table("", *(f"hit@{k}" for k in evaluation.hits), title="Right label among the nearest k of all classes'")
    hits.add_row("label vector (word and kinds)", *(f"{share:.3f}" for share in evaluation.hits.values()))
    hits.add_row("label word alone", *(f"{share:.3f}" for share in evaluation.word_hits.values()))
    console.print(hits)
    queries = Table("text → image", "queries", "mean precision@10", "worst", title="Right images among the first ten")
    for title, each in (("labels", evaluation.label_queries), ("kinds", evaluation.kind_queries)):
        if each:
            mean = sum(query.precision for query in each) / len(each)
            queries.add_row(title, str(len(each)), f"{mean:.3f}", _worst(each))
    console.print(queries)
    console.print(f"Right word among the first five tags: {evaluation.tagged:.3f}")
    if unreadable:
        console.print(f"{len(unreadable)} images could not be read: {', '.join(unreadable[:5])}")


def as_json(model_id: str, evaluation: Evaluation, unreadable: Sequence[str]) -> str:
    """The same, with every query's precision."""
    queries = {"label_queries": evaluation.label_queries, "kind_queries": evaluation.kind_queries}
    return json.dumps(
        {
            "model": model_id,
            "metrics": evaluation.metrics(),
            **{name: {query.word: query.precision for query in each} for name, each in queries.items()},
            "unreadable": list(unreadable),
        },
        indent=2,
        ensure_ascii=False,
    )


def _worst(queries: Sequence[QueryPrecision]) -> str:
    worst = sorted(queries, key=lambda query: query.precision)[:_WORST]
    return ", ".join(f"{query.word} {query.precision:.1f}" for query in worst)
