"""The figures of a report: their names in JSON, their titles for people, and their order in tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

PAIRS_PREFIX = "spearman "
_COUNTS = frozenset({"images", "classes", "unseen_classes", "unseen_images", "hubness_greatest"})


@dataclass(frozen=True)
class Figure:
    """A figure's name, its title, and the title of its table."""

    name: str
    title: str
    table: str


def _figures() -> Iterable[Figure]:
    table = "Right label among the k nearest label vectors (word and kinds)"
    yield from (Figure(f"hit@{k}", f"hit@{k}", table) for k in (1, 2, 5, 10))
    table = "Right label among the k nearest words of labels"
    yield from (Figure(f"word_hit@{k}", f"hit@{k}", table) for k in (1, 2, 5, 10))
    table = "Hierarchical precision: the k nearest labels, among the k nearest classes in the hierarchy"
    yield from (Figure(f"hierarchical_precision@{k}", f"precision@{k}", table) for k in (2, 5, 10, 20))
    table = "Text → image (mAP: mean average precision)"
    for sort, title in (("label", "labels"), ("kind", "kinds"), ("pair", "label + kind"), ("either", "label or label")):
        yield Figure(f"{sort}_precision@10", f"{title}: precision@10", table)
        yield Figure(f"{sort}_map", f"{title}: mAP", table)
    yield Figure("both_found@10", "label or label: both in ten", table)
    yield Figure("image_precision@10", "same class: precision@10", "Image → image")
    table = "Right word among the first tags, of all taggable words"
    yield from (Figure(f"tagged@{k}", f"first {k}", table) for k in (1, 5, 10))
    table = "At the default thresholds, on images and words that did not choose them"
    yield Figure("unanswerable_empty", "no match: comes back empty", table)
    yield Figure("right_on_top", "match: right one on top", table)
    yield Figure("right_in_five", "match: right one in first five", table)
    yield Figure("right_images_kept", "right images that stay", table)
    yield Figure("wrong_tags_left_out", "wrong tags left out", table)
    yield Figure("right_tags_kept", "right tags that stay", table)
    yield Figure("text_calibration_error", "calibration error, searches", table)
    yield Figure("tag_calibration_error", "calibration error, tags", table)
    table = "Classes kept out of training, by their words alone"
    yield Figure("unseen_classes", "classes", table)
    yield Figure("unseen_images", "images", table)
    yield from (Figure(f"unseen_hit@{k}", f"hit@{k} among them", table) for k in (1, 2, 5, 10))
    yield from (Figure(f"unseen_hit_among_all@{k}", f"hit@{k} among all", table) for k in (1, 2, 5, 10))
    yield Figure("unseen_precision@10", "precision@10", table)
    yield Figure("unseen_times_chance", "precision@10, times chance", table)
    table = "Words"
    yield Figure("hubness_skewness", "skewness of 10-occurrence", table)
    yield Figure("hubness_greatest", "greatest 10-occurrence", table)


FIGURES = tuple(_figures())


def in_order(columns: Iterable[Mapping[str, float]]) -> tuple[Figure, ...]:
    """Return the figures that at least one column has, in the order of tables; lists of word pairs follow, by name."""
    present = {name for metrics in columns for name in metrics}
    pairs = sorted(name for name in present if name.startswith(PAIRS_PREFIX))
    return (
        *(figure for figure in FIGURES if figure.name in present),
        *(Figure(name, f"Spearman's ρ, {name.removeprefix(PAIRS_PREFIX)}", "Words") for name in pairs),
    )


def shown(name: str, value: float | None) -> str:
    """Return a figure as text for people: counts whole, shares with three digits, and a dash for None."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if name in _COUNTS else f"{value:.3f}"
