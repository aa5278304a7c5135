"""A model card: every section, no figure but the report's, and the same text every time."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from model.bundle.manifest import Calibration, File, License, Logistic, Manifest
from model.images import Resize
from trainer.errors import EvaluationImpossible
from trainer.evaluation.model_card import SECTIONS, card_text, read_report

CURVE = Logistic(8, -2)
MANIFEST = Manifest(
    id="small@sha256:0123456789ab",
    display_name="Small",
    input_size=32,
    resize=Resize.CENTER_CROP,
    feature_dimension=48,
    dimension=300,
    word_count=2_400,
    calibration=Calibration(CURVE, CURVE, CURVE, 0.5, 0.5),
    files=(File("head.keras", 2_500_000, "00"),),
    create_time=datetime(2026, 3, 4, tzinfo=UTC),
    command="python -m trainer starter PHOTOS",
    licenses=(License("word vectors", "Apache-2.0", "somewhere"),),
)


def query(precision: float) -> dict[str, float]:
    return {"precision@10": precision, "average_precision": 0.111, "relevant": 10}


REPORT: dict[str, Any] = {
    "version": 1,
    "model": MANIFEST.id,
    "data": {
        "sources": ["val.tar"], "images": 777, "classes": 33, "hierarchy": "WordNet 3.0", "foreign": "none",
        "reporting": 321, "unreadable": [], "trained_on": 5, "training": 888,
    },
    "columns": [
        {"name": MANIFEST.id, "note": "", "metrics": {"hit@1": 0.4321, "tagged@5": 0.7654, "hubness_greatest": 57.0}},
        {"name": "chance", "note": "every order", "metrics": {"hit@1": 0.0303}},
    ],
    "bundles": {
        MANIFEST.id: {
            "queries": {"label": {"dog": query(0.9), "chain": query(0.1)}, "kind": {"animal": query(0.8)}},
            "thresholds": {"empty": 0.813, "in_five": 0.957, "unanswerable": 444, "answerable": 222},
            "hubs": {"greatest": {"word": "lancashire", "occurrence": 57}},
        }
    },
}  # fmt: skip


def test_a_card_has_every_section_in_order_and_none_is_empty() -> None:
    text = card_text(MANIFEST, REPORT)
    assert re.findall("^## (.*)$", text, re.MULTILINE) == list(SECTIONS)
    bodies = re.split("^## .*$", text, flags=re.MULTILINE)[1:]
    assert all(body.strip() for body in bodies)
    assert "python -m trainer starter PHOTOS" in bodies[-1]
    assert "Apache-2.0" in bodies[-2]


def test_every_figure_comes_from_the_report_or_the_manifest() -> None:
    reported = {f"{value:.3f}" for column in REPORT["columns"] for value in column["metrics"].values()}
    reported |= {
        f"{each['precision@10']:.3f}"
        for sort in ("label", "kind")
        for each in REPORT["bundles"][MANIFEST.id]["queries"][sort].values()
    }
    reported |= {"0.813", "0.957"}
    text = card_text(MANIFEST, REPORT)
    assert set(re.findall(r"\b0\.\d{3}\b", text)) <= reported
    for figure in ("0.432", "0.765", "0.030", "0.813", "0.957", "57", "777", "33", "321", "888", "444", "222"):
        assert figure in text
    other = json.loads(json.dumps(REPORT).replace("0.4321", "0.9876"))
    assert "0.988" in card_text(MANIFEST, other)
    assert "0.432" not in card_text(MANIFEST, other)


def test_labels_that_find_hardly_anything_are_named_as_a_limit() -> None:
    text = card_text(MANIFEST, REPORT)
    (weak,) = [line for line in text.splitlines() if "hardly any right pictures" in line]
    assert weak.endswith(": chain")


def test_the_same_manifest_and_report_give_the_same_card() -> None:
    again = json.loads(json.dumps(REPORT))
    assert card_text(replace(MANIFEST), again) == card_text(MANIFEST, REPORT)


def test_a_report_of_another_bundle_or_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationImpossible, match="Evaluate this bundle first"):
        card_text(replace(MANIFEST, id="other@sha256:0"), REPORT)
    (tmp_path / "report.json").write_text(json.dumps(REPORT | {"version": 99}))
    with pytest.raises(EvaluationImpossible, match="of version 99, not 1"):
        read_report(tmp_path / "report.json")
