"""The table of ports in docs/guides/operate.md has each port that a suite opens, with its default."""

from __future__ import annotations

import re
from pathlib import Path

from embedder_service.settings import EmbedderSettings
from gateway.settings import GatewaySettings
from index_service.settings import IndexSettings

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "guides" / "operate.md"
# The launcher gives it to gateway processes that share a port.
UNLISTED = {"SEMSEARCH_GATEWAY_OWN_PORT"}


def test_the_table_of_ports_is_that_of_the_settings() -> None:
    listed = dict(re.findall(r"^\| `(SEMSEARCH_\w+_PORT)` \| (\d+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert listed == {
        cls.variable(name): str(field.default)
        for cls in (GatewaySettings, EmbedderSettings, IndexSettings)
        for name, field in cls.model_fields.items()
        if name.endswith("port") and cls.variable(name) not in UNLISTED
    }


def test_the_readme_leads_to_the_table() -> None:
    assert "(docs/guides/operate.md#ports)" in (ROOT / "README.md").read_text(encoding="utf-8")
