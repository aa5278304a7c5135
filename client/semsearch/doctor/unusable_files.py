"""Find, in the metrics of a running service, the files that it cannot use or write."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from semsearch.doctor.findings import Finding, problem
from semsearch.doctor.places import Place
from semsearch.top.scraping import NoMetrics, scrape


@dataclass(frozen=True)
class _Reported:
    """A metric that is not 0 while something is wrong; `{file}` is its label, and `{service}` the service."""

    metric: str
    part: str
    text: str
    advice: str


_REPORTED = (
    _Reported(
        "semsearch_file_unusable",
        "tokens and keys",
        "{file} cannot be used, and what it said before still holds, also for tokens that were revoked since",
        "Repair or restore the file: a restart would fail. The log of the {service} says what is wrong with it.",
    ),
    _Reported(
        "semsearch_tls_files_unusable",
        "new certificate",
        "{file}: its new file cannot be used, the last good one serves",
        "Put the right certificate and key there: a restart would fail. The log of the {service} says what is wrong.",
    ),
    _Reported(
        "semsearch_live_settings_refused",
        "live settings",
        "the file of SEMSEARCH_LIVE_SETTINGS is wrong and has no effect",
        "Correct the file: a restart would fail. The log of the {service} says what is wrong with it.",
    ),
    _Reported(
        "semsearch_audit_failing",
        "audit log",
        "the file of SEMSEARCH_AUDIT_LOG cannot be written; its lines wait, and are lost if that lasts",
        "Make room, or make its folder writable. The log of the {service} has the error.",
    ),
)


def examine_files(metrics: Place) -> Iterator[Finding]:
    """Yield a problem for each file that a service says it cannot use or write."""
    try:
        samples = scrape(metrics.address).samples
    except NoMetrics:  # which is a finding of its own
        return
    for reported in _REPORTED:
        for labels, value in samples.get(reported.metric, {}).items():
            if value:
                names = {"service": metrics.service, **dict(labels)}
                text, advice = reported.text.format_map(names), reported.advice.format_map(names)
                yield problem(f"{metrics.service}: {reported.part}", text, advice)
