"""The memory limits have room for what the settings allow: a limit that is reached ends more than one image."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from serving.settings import ServiceSettings
from tests.unit.deploy.manifests import LAYOUTS, SETTINGS, composed, container, started, unit, workloads

# Measured with the default model, with two decoders that wait (docs/guides/deploy.md).
EMBEDDER_BYTES = 0.7 * 2**30
GATEWAY_BYTES = 0.15 * 2**30
UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}


def _bytes(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1].upper()]


def _limits(service: str) -> Iterator[tuple[str, int]]:
    yield "compose", _bytes(composed()["services"][service]["mem_limit"])
    for layout in LAYOUTS:
        limit = container(workloads(layout)[service])["resources"]["limits"]["memory"]
        yield f"kubernetes-{layout}-{service}", _bytes(limit.removesuffix("i"))
    if (limit := dict(unit(f"semsearch-{service}.service")).get("MemoryMax")) is not None:
        yield "systemd", _bytes(limit)


def _settings(package: str) -> dict[str, ServiceSettings]:
    """Return the settings of a service by what starts it."""
    cls = SETTINGS[package]
    fields = {cls.variable(field): field for field in cls.model_fields}
    return {
        each.by: cls(**{fields[name]: text for name, text in each.variables.items() if name in fields})
        for each in started()
        if each.package == package
    }


def test_an_embedder_has_room_for_all_its_decoders(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings("embedder_service")
    limits = dict(_limits("embedder"))
    assert len(limits) == 4
    for by, limit in limits.items():
        own = settings[by].model_dump()
        needed = EMBEDDER_BYTES + own["max_queued_bytes"] + own["decoders"] * own["max_decoding_bytes"]
        assert needed <= limit <= 1.5 * needed, by


def test_a_gateway_has_room_for_uploads_downloads_and_a_map() -> None:
    settings = _settings("gateway")
    for by, limit in _limits("gateway"):
        own = settings[by].model_dump()
        assert GATEWAY_BYTES + 2 * own["max_pending_bytes"] + own["map_memory_bytes"] <= limit, by
