"""The fuzz targets by name. A module is loaded when its target is asked for, so that atheris can instrument it."""

from __future__ import annotations

from importlib import import_module

from tests.fuzz.target import Target

# Each is the module's `TARGETS[name]`.
MODULES = {
    "image": "images",
    "exif": "images",
    "query": "texts",
    "filter": "texts",
    "where": "texts",
    "page-token": "texts",
    "manifest": "bundles",
    "bundle": "bundles",
    "recipe": "bundles",
    "weights": "bundles",
    "segment": "segments",
    "records": "segments",
    "gateway": "messages",
    "index": "messages",
    "embedder": "messages",
    "connect": "connect",
}


def load(name: str) -> Target:
    """Load a target."""
    targets: dict[str, Target] = import_module(f"tests.fuzz.{MODULES[name]}").TARGETS
    return targets[name]
