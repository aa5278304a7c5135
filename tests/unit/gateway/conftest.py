from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.gateway.core import Core, open_core


@pytest.fixture
async def core(tmp_path: Path) -> Core:
    return await open_core(tmp_path / "images")
