"""The dashboard and the alerts: their queries are PromQL, and each alert is tried and explained.

`make alerts` tries the alerts on recorded figures, and tests/services/test_watching.py compares the metrics with those
of a real suite.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.monitoring import FOLDER, alerts, metrics_of, panels

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "watch.md"


@pytest.mark.parametrize("name", panels())
def test_the_queries_of_a_panel_are_promql(name: str) -> None:
    for expression in panels()[name]:
        assert metrics_of(expression), expression


@pytest.mark.parametrize("name", alerts())
def test_an_alert_is_promql_and_has_what_a_person_needs(name: str) -> None:
    rule = alerts()[name]
    assert metrics_of(rule["expr"])
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert set(rule["annotations"]) == {"summary", "description"}


def test_each_alert_is_tried_and_explained() -> None:
    tried = set(re.findall(r"Semsearch\w+", (FOLDER / "alerts_test.yaml").read_text()))
    explained = {f"Semsearch{name}" for name in re.findall(r"\b[A-Z]\w+", _first_column())}
    assert tried == set(alerts())
    assert explained == set(alerts())


def test_spans_that_failed_and_those_that_were_dropped_are_lost() -> None:
    lost = 'semsearch_trace_spans_total{outcome=~"failed|dropped"'
    assert lost in alerts()["SemsearchTracesLost"]["expr"]
    assert any(lost in expression for expression in panels()["Audit lines and spans that were lost"])


def test_the_series_of_the_tests_are_metrics_that_the_alerts_use() -> None:
    used = set().union(*(metrics_of(rule["expr"]) for rule in alerts().values()))
    tests = yaml.safe_load((FOLDER / "alerts_test.yaml").read_text())["tests"]
    series = {each["series"].partition("{")[0] for test in tests for each in test["input_series"]}
    assert series == used


def _first_column() -> str:
    """Return the names in the guide's table of alerts."""
    section = GUIDE.read_text().partition("## Alerts")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    return "\n".join(row.split("|")[1] for row in rows[2:])
