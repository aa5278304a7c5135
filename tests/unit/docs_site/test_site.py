"""The documentation site: what its build refuses, and what its generated pages have."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from docs_site.links import BrokenLink, for_the_site
from docs_site.loaded import loaded_from_elsewhere
from docs_site.markdown import prose, table
from docs_site.reference import rpcs, settings

ROOT = Path(__file__).parents[3]
DESCRIPTORS = ROOT / "client" / "protos.binpb"


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    docs = tmp_path / "docs"
    for file in ("docs/guides/own.md", "docs/queries.png", "protos/semsearch/v1/query.proto", "Makefile"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    return docs


@pytest.mark.parametrize(
    ("written", "on_the_site"),
    [
        ("[a](https://example.org/x) [b](#there)", "[a](https://example.org/x) [b](#there)"),
        ("[own](own.md#x) ![q](../queries.png)", "[own](own.md#x) ![q](../queries.png)"),
        ("[q](../../protos/semsearch/v1/query.proto)", "[q](../reference/rpcs/v1-query.md)"),
        ("[all](../../protos/semsearch/v1)", "[all](../reference/rpcs/index.md)"),
        ("see [the Makefile](../../Makefile)", "see the Makefile"),
        ("[settings](../reference/settings.md)", "[settings](../reference/settings.md)"),
    ],
)
def test_links_out_of_the_docs_become_links_of_the_site_or_text(docs: Path, written: str, on_the_site: str) -> None:
    assert for_the_site(written, docs / "guides" / "own.md", docs) == on_the_site


@pytest.mark.parametrize("target", ["../none.png", "../../none.py"])
def test_a_link_to_nothing_is_refused(docs: Path, target: str) -> None:
    with pytest.raises(BrokenLink, match="none"):
        for_the_site(f"[x]({target})", docs / "guides" / "own.md", docs)


@pytest.mark.parametrize(
    ("name", "text", "is_foreign"),
    [
        ("a.html", '<script src="https://cdn.example/x.js"></script>', True),
        ("a.html", '<link rel="stylesheet" href="//fonts.example/x.css">', True),
        ("a.css", "@font-face { src: url(https://fonts.example/x) }", True),
        ("a.html", '<a href="https://example.org">x</a><link rel="canonical" href="https://example.org">', False),
        ("a.html", '<img src="x.png"><link rel="stylesheet" href="style.css">', False),
    ],
)
def test_a_page_that_loads_from_elsewhere_is_found(tmp_path: Path, name: str, text: str, is_foreign: bool) -> None:
    (tmp_path / name).write_text(text)
    assert list(loaded_from_elsewhere(tmp_path)) == ([name] if is_foreign else [])


def test_text_from_code_is_not_taken_for_markup() -> None:
    assert prose("a <b> *c* `d<e>` [f]") == r"a \<b\> \*c\* `d<e>` \[f\]"
    assert table(["a"], [["x | y\n z"]]).splitlines()[-1] == r"| x \| y z |"


def test_the_readme_stays_under_two_screens() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 100


def test_every_setting_has_its_variable_and_its_meaning() -> None:
    page = settings.page()
    for service in settings.SERVICES:
        for name, field in service.model_fields.items():
            assert f"`{service.variable(name)}`" in page
            assert field.description, name


def test_every_rpc_message_field_and_value_has_a_comment() -> None:
    pages = rpcs.pages(DESCRIPTORS)
    for file in FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file:
        if file.name.startswith("semsearch/"):
            page = pages[rpcs.page_of(file.name)]
            for service in file.service:
                assert all(f"## {method.name} " in page for method in service.method)
            for message in file.message_type:
                assert f"# {message.name} " in page
    for name, page in pages.items():
        rows = [line for line in page.splitlines() if line.startswith("| `")]
        assert not [row for row in rows if row.endswith("|  |")], name
