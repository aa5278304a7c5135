from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from serving import logs
from serving.settings import ServiceSettings


class Settings(ServiceSettings):
    service = "gateway"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_traceback_shows_no_data_of_callers(
    log_format: Literal["console", "json"], capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(query: str) -> None:
        words = query.split()
        raise RuntimeError(f"a bug, {len(words)} words")

    query = "zanzibar picnic"
    logs.configure(Settings(log_format=log_format))
    try:
        fail(query)
    except RuntimeError as error:
        structlog.get_logger("test").error("internal error", exc_info=error)
    logged = capsys.readouterr().err
    assert "a bug, 2 words" in logged
    assert "zanzibar" not in logged
