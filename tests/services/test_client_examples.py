"""Every example of the Python client as people read it: docstrings, the guide and the READMEs, on one real suite.

In pages, blocks marked ```python are run in their order, in one namespace; a block marked ```text below one is what it
prints, with … for what differs. Blocks marked ```python elsewhere need what is not here, and are only compiled.
"""

from __future__ import annotations

import contextlib
import doctest
import inspect
import io
import json
import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import semsearch
from semsearch import AsyncClient, Client, Upload

from tests.services.client_stack import wait_until_serving
from tests.services.embedder_process import embedder_process
from tests.services.service_process import service_process

ROOT = Path(__file__).parents[2]
GALLERY = ROOT / "starter" / "gallery"
GUIDE = ROOT / "docs" / "guides" / "python.md"
IMAGES_A_KIND = 6
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
BLOCK = re.compile(r"^```(python|text)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MODULES = [
    module.name
    for module in pkgutil.walk_packages(semsearch.__path__, "semsearch.")
    if not re.search(r"_pb2|\.v1|\.cli|\.folders", module.name)
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway with the model `tiny` and the gallery that ships."""
    data = tmp_path_factory.mktemp("data")
    with (
        embedder_process(data, ROOT / "starter" / "bundle") as embedder,
        service_process("index_service", data) as index,
        service_process("gateway", data, f"--embedder={embedder.address}", f"--index={index.address}") as gateway,
    ):
        wait_until_serving(gateway.address)
        fill(gateway.address)
        yield gateway.address


def fill(server: str) -> None:
    """Add some images of each kind."""
    lines = map(json.loads, (GALLERY / "truth.jsonl").read_text().splitlines())
    uploads = [
        Upload(
            GALLERY / line["file"],
            attributes={"path": line["file"], "label": line["label"], "setting": line["setting"]},
        )
        for line in lines
        if line["file"] < f"{line['label']}-{IMAGES_A_KIND:02}"
    ]
    with Client(server) as client:
        assert not [result for result in client.index_images(uploads) if result.error]


@pytest.fixture
def names(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The names that examples use without saying so; `Client()` connects to the suite of the tests."""
    for kind in (Client, AsyncClient):
        monkeypatch.setattr(kind.__init__, "__defaults__", (server,))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").symlink_to(GALLERY)
    (tmp_path / "a.jpg").symlink_to(GALLERY / "apple-00.webp")
    with Client(server) as client:
        yield {
            **{name: getattr(semsearch, name) for name in semsearch.__all__},
            "asyncio": import_module("asyncio"),
            "client": client,
            "photos": GALLERY,
            "server": server,
        }


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(names: dict[str, Any], name: str) -> None:
    failures = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    for test in doctest.DocTestFinder(exclude_empty=True).find(import_module(name), extraglobs=names):
        runner.run(test, out=failures.write)
    assert not runner.failures, failures.getvalue()


@pytest.mark.parametrize("page", [GUIDE, ROOT / "README.md", ROOT / "client" / "README.md"], ids=lambda page: page.name)
def test_examples_on_pages(names: dict[str, Any], page: Path) -> None:
    text = page.read_text(encoding="utf-8").replace("127.0.0.1:50051", names["server"])
    namespace: dict[str, Any] = {"__name__": "__main__"}
    printed = ""
    checker = doctest.OutputChecker()
    for kind, note, body in BLOCK.findall(text):
        if kind == "text":
            wanted = body.replace("…", "...")
            assert checker.check_output(wanted, printed, OPTIONS), f"{wanted}\nbut it printed\n{printed}"
            continue
        code = compile(body, str(page), "exec")
        if not note.strip():
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                exec(code, namespace)
            printed = output.getvalue()


def test_the_guide_names_every_method() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    methods = {name for name, value in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")}
    assert {name for name in methods if f".{name}(" not in text} == set()
