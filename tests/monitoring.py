"""The dashboard and the alerts of deploy/monitoring, as tests see them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import promql_parser
import yaml

FOLDER = Path(__file__).parents[1] / "deploy" / "monitoring"


def panels() -> Mapping[str, list[str]]:
    """Return the expressions of each panel of the dashboard, with values in place of Grafana's variables."""
    return {
        panel["title"]: [
            target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*") for target in panel["targets"]
        ]
        for panel in json.loads((FOLDER / "dashboard.json").read_text())["panels"]
        if panel["type"] != "row"
    }


def alerts() -> Mapping[str, dict[str, Any]]:
    """Return the rules by name."""
    groups = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def metrics_of(expression: str) -> set[str]:
    """Return the metrics that an expression uses; raises `ValueError` if it is not PromQL."""
    found: set[str] = set()

    def note(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.add(str(node.name))

    promql_parser.walk(promql_parser.parse(expression), note)
    return found
