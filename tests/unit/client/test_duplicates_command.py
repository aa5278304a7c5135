"""What `semsearch duplicates --ids` prints, for `semsearch delete` and for whoever reads it on a terminal."""

from __future__ import annotations

import pytest
import typer
from semsearch.cli.duplicates import duplicates
from semsearch.v1 import gallery_service_pb2 as pb
from semsearch.v1 import image_pb2

from tests.unit.client.scripted_server import ScriptedServer, running

HARMFUL = ["x\x1b]52;c;cm0gLXJmIH4K\x07", "a\nb", "a\rb", "a\u2028b", "a\u202eb", "\x9b2J"]


def ids_printed(*ids: str) -> None:
    """Print the ids of a server that found one group, whose best image is "best"."""
    server = ScriptedServer()
    images = [image_pb2.Image(id=each) for each in ("best", *ids)]
    server.will("FindDuplicates", [pb.FindDuplicatesResponse(groups=[pb.DuplicateGroup(images=images)])])
    with running(server) as address:
        duplicates(ids=True, collection="gallery", server=address, as_json=False)


def test_ids_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    ids = ["3f9a" * 16, "my own id", "[bold]東京/é", "x" * 500]

    ids_printed(*ids)

    assert capsys.readouterr().out.splitlines() == ids


@pytest.mark.parametrize("harmful", HARMFUL)
def test_an_id_that_would_act_on_a_terminal_or_take_two_lines_is_left_out(
    harmful: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended:
        ids_printed("first", harmful, "last")

    printed = capsys.readouterr()
    assert printed.out == "first\nlast\n"
    assert harmful not in printed.err
    assert "1 id is left out" in printed.err
    assert ended.value.exit_code == 1
