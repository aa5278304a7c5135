"""A bundle's model card (Mitchell et al. 2019, https://arxiv.org/abs/1810.03993), from its manifest and its evaluation.

Contract: every figure comes unchanged from the report; figures that the report lacks are not mentioned. The same
manifest and report give the same text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from model.bundle.manifest import Manifest
from trainer.errors import EvaluationImpossible
from trainer.evaluation.report import VERSION
from trainer.measures.figures import in_order, shown

SECTIONS = (
    "Model details",
    "Intended use",
    "Factors",
    "Metrics",
    "Evaluation data",
    "Training data",
    "Quantitative analyses",
    "Limits and biases",
    "Licences",
    "Make it again",
)
_SHOWN = 10
_WEAK = 0.2

Content = Mapping[str, Any]


def read_report(path: Path) -> dict[str, Any]:
    """Read a report.json.

    Raises:
        EvaluationImpossible: the file is not a report, or has another version.
    """
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = report["version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EvaluationImpossible(
            f"{path} is not an evaluation report ({error!r}). Make one: python -m trainer evaluate … --out folder"
        ) from error
    if version != VERSION:
        raise EvaluationImpossible(
            f"{path} is a report of version {version}, not {VERSION}. Evaluate the bundle again."
        )
    return report


def card_text(manifest: Manifest, report: Content) -> str:
    """Return the card as Markdown.

    Raises:
        EvaluationImpossible: the report is of another bundle.
    """
    if manifest.id not in report["bundles"]:
        raise EvaluationImpossible(
            f"The report is about {report['model']}, but the bundle is {manifest.id}. Evaluate this bundle first."
        )
    bodies = (
        _details(manifest),
        _use(report, manifest),
        _factors(report, manifest),
        _metrics(report),
        _data(report),
        _training(report, manifest),
        _tables(report),
        _limits(report, manifest),
        (f"- {each.subject}: {each.spdx} ({each.source})" for each in manifest.licenses or ()),
        _again(manifest),
    )
    lines = [f"# {manifest.display_name}", ""]
    for title, body in zip(SECTIONS, bodies, strict=True):
        lines += [f"## {title}", "", *(list(body) or ["No information."]), ""]
    return "\n".join(lines)


def _details(manifest: Manifest) -> Iterator[str]:
    yield f"- Id: `{manifest.id}`, made on {manifest.create_time:%Y-%m-%d}"
    yield (
        f"- A backbone ({manifest.feature_dimension} features from pictures of {manifest.input_size} × "
        f"{manifest.input_size} pixels, {manifest.resize.value}) and a head that maps them into the space of "
        f"{manifest.word_count:,} words, {manifest.dimension} dimensions (DeViSE, Frome et al. 2013)"
    )
    yield f"- Size: {sum(file.size for file in manifest.files) / 1e6:.1f} MB"


def _use(report: Content, manifest: Manifest) -> Iterator[str]:
    yield (
        "Searching your own pictures by words or by a picture, and tagging pictures with words. "
        f"The model is measured on {report['data']['classes']} classes and their kinds; words near those may find "
        "pictures too, but its quality beyond them is unknown."
    )
    yield ""
    yield (
        "Not for decisions about people, safety, medical or legal purposes, or moderation: the model was not trained "
        "for these, and relevance is not certainty."
    )


def _factors(report: Content, manifest: Manifest) -> Iterator[str]:
    yield "Results depend on the word. The worst of the measured queries, by precision@10:"
    yield ""
    for sort, queries in _own(report, manifest)["queries"].items():
        worst = sorted(queries.items(), key=lambda item: (item[1]["precision@10"], item[0]))[:_SHOWN]
        yield f"- {sort}: " + ", ".join(f"{query} {shown('', each['precision@10'])}" for query, each in worst)


def _metrics(report: Content) -> Iterator[str]:
    data = report["data"]
    yield (
        "hit@k and hierarchical precision@k as in Frome et al. 2013 (hierarchy: "
        f"{data['hierarchy']}); precision@10 and mean average precision of searches, where the best possible "
        "result counts as 1; the share of images with a right word among their first tags; what the default thresholds "
        f"leave out and keep, where {data['foreign']}; calibration with equal weight for right and wrong pairs."
    )


def _data(report: Content) -> Iterator[str]:
    data = report["data"]
    yield f"- {data['images']:,} images of {data['classes']} classes, from {', '.join(data['sources'])}"
    yield f"- thresholds and calibration on the {data['reporting']:,} of them in the half that `export` leaves out"
    if data["trained_on"]:
        yield f"- {data['trained_on']:,} further images were left out because training saw them"


def _training(report: Content, manifest: Manifest) -> Iterator[str]:
    yield "What it was made from:"
    yield ""
    yield from (f"- {each.subject} ({each.source})" for each in manifest.licenses)
    if report["data"]["training"]:
        yield f"- baselines below were fitted on {report['data']['training']:,} training images"


def _tables(report: Content) -> Iterator[str]:
    columns: Sequence[Content] = report["columns"]
    for title, figures in groupby(in_order(column["metrics"] for column in columns), key=lambda figure: figure.table):
        yield f"**{title}**"
        yield ""
        yield _row(["", *(column["name"] for column in columns)])
        yield "| --- |" + " ---: |" * len(columns)
        for figure in figures:
            yield _row([figure.title, *(shown(figure.name, column["metrics"].get(figure.name)) for column in columns)])
        yield ""
    yield from (f"- {column['name']}: {column['note']}" for column in columns if column["note"])


def _limits(report: Content, manifest: Manifest) -> Iterator[str]:
    own, metrics = _own(report, manifest), _column(report, manifest)["metrics"]
    labels = own["queries"].get("label", {})
    weak = sorted(query for query, each in labels.items() if each["precision@10"] < _WEAK)
    if weak:
        yield f"- Searches for these labels find hardly any right pictures: {', '.join(weak)}"
    thresholds = own["thresholds"]
    if thresholds["empty"] is not None:
        yield (
            f"- By default, a share of {shown('', thresholds['empty'])} of {thresholds['unanswerable']:,} words that "
            "no picture matches finds nothing; the others find something"
        )
    yield (
        f"- By default, a share of {shown('', thresholds['in_five'])} of {thresholds['answerable']:,} words that "
        "pictures match finds a right one among the first five"
    )
    if "tagged@5" in metrics:
        share = shown("tagged@5", metrics["tagged@5"])
        yield f"- A share of {share} of the pictures has a right word among the first five tags"
    hub = own["hubs"]["greatest"]
    yield f"- “{hub['word']}” is among the ten nearest of {hub['occurrence']} other words, more than any other"
    yield (
        "- Its pictures and words were chosen and named by people, mostly in English and from the web. The model knows "
        "well what they showed often, and does not know what they left out; which words lie near each other follows "
        "their usage, including prejudices. Nothing here measures how this affects groups of people."
    )


def _again(manifest: Manifest) -> Iterator[str]:
    yield "```sh"
    yield manifest.command or "# the manifest does not record the command"
    yield "```"


def _own(report: Content, manifest: Manifest) -> Content:
    details: Content = report["bundles"][manifest.id]
    return details


def _column(report: Content, manifest: Manifest) -> Content:
    return next(column for column in report["columns"] if column["name"] == manifest.id)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
