"""`semsearch model` against a gateway over sockets: its lists, its progress, its interruption."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import replace

import pytest
from semsearch import Client

from gateway.backends.embedding import PullProgress
from tests.services.client_stack import COMMAND_SECONDS, ClientStack, client_stack, semsearch, semsearch_process
from tests.unit.gateway.doubles import COLORS, MODEL, OTHER_MODEL, overloaded, picture

PULLED = replace(MODEL, id="pulled@sha256:dddddddddddd", active=False)
STEPS = [PullProgress(0, 30), PullProgress(10, 30), PullProgress(30, 30), PullProgress(30, 30, PULLED)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientStack]:
    """A gateway whose gallery has three images; its embedder has a recipe."""
    folder = tmp_path_factory.mktemp("photos")
    for color in ("red", "green", "blue"):
        (folder / f"{color}.png").write_bytes(picture(color))
    with client_stack(tmp_path_factory.mktemp("data")) as running:
        running.embedder.pulls = {"toy-recipe": STEPS}
        assert semsearch(running.server, "index", folder).status == 0
        yield running


def test_models_are_listed_with_what_can_be_pulled(stack: ClientStack) -> None:
    done = semsearch(stack.server, "model", "list")
    assert f"yes      {MODEL.id} " in done.out
    assert " toy-recipe   Toy-Recipe     0.0 MB" in done.out
    assert done.err.startswith("Pull one with: semsearch model pull toy-recipe\n")
    documents = semsearch(stack.server, "model", "list", "--json").document
    assert [(each["id"], each["active"], each["word_count"]) for each in documents] == [
        (OTHER_MODEL.id, False, len(COLORS)),
        (MODEL.id, True, len(COLORS)),
    ]


def test_a_model_is_shown_with_its_evaluation(stack: ClientStack) -> None:
    for name in ([], [MODEL.id], ["toy"]):
        done = semsearch(stack.server, "model", "show", *name)
        assert "hit_at_1   0.500" in done.out
        assert done.err.startswith(f"{MODEL.id}: Colours; 4 dimensions, threshold ")
    assert semsearch(stack.server, "model", "show", "--json").document["id"] == MODEL.id
    assert semsearch(stack.server, "model", "show", "nothing").status == 1


def test_a_pull_shows_people_what_is_next_and_machines_each_step(stack: ClientStack) -> None:
    done = semsearch(stack.server, "model", "pull", "toy-recipe")
    assert (done.status, done.out) == (0, "")
    assert done.err == f"{PULLED.id} is here. Switch to it with: semsearch model activate {PULLED.id}\n"
    machine = semsearch(stack.server, "model", "pull", "toy-recipe", "--json")
    assert (machine.status, machine.err) == (0, "")
    assert [(line["bytes_done"], line["bytes_total"]) for line in machine.lines] == [
        (0, 30),
        (10, 30),
        (30, 30),
        (30, 30),
    ]
    assert [line["model"] and line["model"]["id"] for line in machine.lines] == [None, None, None, PULLED.id]
    assert PULLED.id in {each["id"] for each in semsearch(stack.server, "model", "list", "--json").document}
    assert "toy-recipe" not in semsearch(stack.server, "model", "list").out, "it is here"


def test_a_switch_continues_after_ctrl_c_and_can_be_joined(stack: ClientStack) -> None:
    def full() -> None:
        raise overloaded(0.05)

    stack.embedder.before_images = full
    with semsearch_process(stack.server, "model", "activate", "another", "--json") as switch:
        assert switch.stdout is not None
        assert switch.stderr is not None
        assert json.loads(switch.stdout.readline())["model"] is None
        switch.send_signal(signal.SIGINT)
        assert switch.wait(COMMAND_SECONDS) == 130
        assert switch.stderr.read() == (
            "The switch continues in the server. Follow it with: semsearch model activate another\n"
        )
    refused = semsearch(stack.server, "model", "activate", MODEL.id, "--json")
    assert refused.status == 1
    assert json.loads(refused.err)["error"]["reason"] == "MODEL_SWITCH_UNDER_WAY"
    assert OTHER_MODEL.id in refused.err
    stack.embedder.before_images = lambda: None
    done = semsearch(stack.server, "model", "activate", "another")
    assert (done.status, done.out) == (0, "")
    assert done.err == f"{OTHER_MODEL.id} serves now, with 3 images.\n"
    again = semsearch(stack.server, "model", "activate", "another", "--json")
    [line] = again.lines
    assert (line["images_done"], line["images_total"], line["images_failed"]) == (3, 3, 0)
    assert (line["model"]["id"], line["model"]["active"]) == (OTHER_MODEL.id, True)
    found = semsearch(stack.server, "search", "red", "--json").document["matches"]
    assert [match["image"]["attributes"]["name"] for match in found] == ["red.png"]


def test_the_python_client_says_how_far_a_switch_is(stack: ClientStack) -> None:
    with Client(stack.server) as client:
        *steps, last = client.activate_model(MODEL.id)
        assert last.model == client.get_model()
        assert all(step.model is None for step in steps)
        *_, pulled = client.pull_model("toy-recipe")
        assert pulled.model == client.get_model(PULLED.id)
        assert [(each.name, each.model_id) for each in client.list_recipes()] == [("toy-recipe", PULLED.id)]
