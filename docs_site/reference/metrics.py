"""The page of metrics, from the modules that define them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from prometheus_client.core import Metric
from prometheus_client.metrics import Counter, MetricWrapperBase

from docs_site.markdown import code, prose, table
from docs_site.reference.settings import SERVICES

_PACKAGES = {"gateway": "gateway", "embedder": "embedder_service", "index": "index_service"}
_SHARED = "serving"
_DEFINES_METRICS = re.compile(r"^from prometheus_client import", re.MULTILINE)
_INTRODUCTION = """# Metrics

Each service serves Prometheus metrics over HTTP at `/metrics` of its metrics port:
{ports}. A metrics port of -1 turns them off.
"""


def page(root: Path) -> str:
    """Return the page; `root` is the checkout."""
    ports = ", ".join(f"{each.service} {each.model_fields['metrics_port'].default}" for each in SERVICES)
    parts = [_INTRODUCTION.format(ports=ports), "## All services\n", _table(root / _SHARED)]
    for service, package in _PACKAGES.items():
        if list(_metrics(root / package)):
            parts += [f"\n## {service.capitalize()}\n", _table(root / package)]
    parts.append("\nPython's own metrics of the process (`process_*`, `python_*`) are there too.\n")
    return "\n".join(parts)


def _table(package: Path) -> str:
    rows = [
        [code(name), kind, ", ".join(map(code, labels)), prose(text)] for name, kind, labels, text in _metrics(package)
    ]
    return table(["metric", "type", "labels", "meaning"], rows)


def _metrics(package: Path) -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    """Yield name, type, labels and meaning of the metrics that a package's modules define."""
    for file in sorted(package.rglob("*.py")):
        if not _DEFINES_METRICS.search(file.read_text(encoding="utf-8")):
            continue
        module = import_module(".".join(file.relative_to(package.parent).with_suffix("").parts))
        for metric in vars(module).values():
            if isinstance(metric, MetricWrapperBase) and not metric._labelvalues:
                (described,) = metric.describe()
                name = f"{described.name}_total" if isinstance(metric, Counter) else described.name
                yield name, described.type, tuple(metric._labelnames), described.documentation
            elif isinstance(metric, Metric):  # one that a collector fills at each scrape
                yield metric.name, metric.type, tuple(getattr(metric, "_labelnames", ())), metric.documentation
