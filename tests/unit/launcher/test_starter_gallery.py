"""The gallery is filled once: if nothing is to be done, the server is not even called."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from google.rpc import code_pb2
from rich.console import Console

from launcher.starter_gallery import FillState, StarterGallery
from tests.unit.client.scripted_server import Refusal, ScriptedServer, running
from tests.unit.gateway.doubles import picture

NOBODY = "127.0.0.1:1"


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


def gallery(tmp_path: Path, output: io.StringIO) -> StarterGallery:
    return StarterGallery(tmp_path / "gallery", tmp_path / "var", Console(file=output, soft_wrap=True))


def test_a_gallery_that_is_done_is_left_alone(tmp_path: Path, output: io.StringIO) -> None:
    (tmp_path / "gallery").mkdir()
    (tmp_path / "var" / "launcher").mkdir(parents=True)
    (tmp_path / "var" / "launcher" / "gallery").write_text("done", encoding="utf-8")
    gallery(tmp_path, output).fill(NOBODY)
    assert output.getvalue() == ""


def test_a_missing_folder_is_reported(tmp_path: Path, output: io.StringIO) -> None:
    starter = gallery(tmp_path, output)
    starter.fill(NOBODY)
    assert str(tmp_path / "gallery") in output.getvalue()
    assert starter.state is FillState.NOT_BEGUN


def test_a_failing_server_is_tried_again_at_the_next_start(tmp_path: Path, output: io.StringIO) -> None:
    (tmp_path / "gallery").mkdir()
    starter = gallery(tmp_path, output)
    starter.fill(NOBODY)
    assert "next start" in output.getvalue()
    assert starter.state is FillState.NOT_BEGUN


def test_a_server_that_cannot_go_on_is_not_waited_for(tmp_path: Path, output: io.StringIO) -> None:
    """Nobody would start a service again meanwhile: that is for the launcher, which fills."""
    (tmp_path / "gallery").mkdir()
    (tmp_path / "gallery" / "a.png").write_bytes(picture("red"))
    script = ScriptedServer()
    script.will("IndexImages", *[Refusal(code_pb2.UNAVAILABLE, retry_after=30)] * 5)
    starter = gallery(tmp_path, output)
    with running(script) as address:
        starter.fill(address)
    assert "The gallery is incomplete; the next start continues." in output.getvalue()
    assert starter.state is FillState.FILLING
    assert script.calls.count("IndexImages") == 2  # one stream: the configuration and the image
