"""The suite with its default model for photos, which the first start makes from an installed package."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.end_to_end.launcher_process import READY, REPOSITORY, Launcher, launcher, settings
from tests.end_to_end.semsearch_command import semsearch
from tests.needs import SHARED_DATA, need

GALLERY = REPOSITORY / "starter" / "gallery"
PHOTOS = SHARED_DATA / "photos"


class Suite(NamedTuple):
    """A running suite and its address."""

    process: Launcher
    server: str


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """Start with an empty data folder, which takes seconds; no test changes what others see."""
    own = settings(tmp_path_factory.mktemp("var"), Path("tiny"))
    del own["SEMSEARCH_EMBEDDER_DEFAULT_MODEL"]
    with launcher(own, GALLERY) as started:
        started.wait_for(READY)
        yield Suite(started, f"127.0.0.1:{own['SEMSEARCH_GATEWAY_PORT']}")


@pytest.fixture(scope="module")
def server(suite: Suite) -> str:
    return suite.server


@pytest.fixture(scope="module")
def photos(server: str) -> str:
    need(PHOTOS.exists(), f"{PHOTOS} is not there: it has photos of 300 things.")
    semsearch(server, "index", PHOTOS, "-c", "photos")
    return server


def found(server: str, collection: str, *query: object) -> list[dict[str, object]]:
    answer = semsearch(server, "search", "--json", "-n", 10, "-c", collection, *query)
    return [match["image"]["attributes"] for match in json.loads(answer.stdout)["matches"]]


def test_the_first_start_makes_the_model_and_serves_it(server: str) -> None:
    models = json.loads(semsearch(server, "model", "list", "--json").stdout)
    assert [each["id"].split("@")[0] for each in models if each["active"]] == ["photos"]


def test_the_embedder_never_loads_tensorflow(suite: Suite) -> None:
    mapped = [Path(f"/proc/{pid}/maps").read_text() for pid in suite.process.descendants() if _is_embedder(pid)]
    assert mapped
    assert not any("tensorflow" in maps for maps in mapped)


@pytest.mark.parametrize("word", ["banana", "boat", "car", "elephant", "guitar", "tree"])
def test_a_word_finds_its_drawings(server: str, word: str) -> None:
    assert Counter(str(each["label"]) for each in found(server, "gallery", word))[word] >= 8


@pytest.mark.parametrize(
    ("word", "labels"),
    [("fruit", {"apple", "banana"}), ("vehicle", {"airplane", "bicycle", "boat", "bus", "car", "train"})],
)
def test_a_category_finds_its_drawings(server: str, word: str, labels: set[str]) -> None:
    shown = [str(each["label"]) for each in found(server, "gallery", word)]
    assert sum(each in labels for each in shown) >= 8


@pytest.mark.parametrize("word", ["goldfish", "bird", "computer", "musical instrument"])
def test_articles_and_introductions_are_ignored(photos: str, word: str) -> None:
    plain = found(photos, "photos", word)
    assert plain
    assert found(photos, "photos", f"a photo of a {word}") == plain
    assert found(photos, "photos", f"a {word}") == plain


def test_a_photo_is_tagged_with_what_it_shows(photos: str) -> None:
    tags = json.loads(semsearch(photos, "tag", "--json", PHOTOS / "n01443537_goldfish.jpg").stdout)["tags"]
    assert {"goldfish", "fish"} & {tag["word"] for tag in tags[:5]}


def test_dogs_are_found_among_photos_and_bears_are_not_dogs(photos: str) -> None:
    paths = [str(each["path"]) for each in found(photos, "photos", "dog")]
    assert len(paths) == 10
    assert not any("bear" in path for path in paths)


QUICK_START = (REPOSITORY / "docs" / "guides" / "quick-start.md").read_text(encoding="utf-8")


def test_the_quick_start_shows_what_a_search_finds(server: str) -> None:
    [shown] = re.findall(r"\$ semsearch search -n 3 fruit\n(.*?)```", QUICK_START, re.DOTALL)
    rows = re.findall(r"^ \d +([\d.]+) +([\d.]+) +(\S+) ", shown, re.MULTILINE)
    matches = json.loads(semsearch(server, "search", "-n", 3, "fruit", "--json").stdout)["matches"]
    assert [image for *_, image in rows] == [each["image"]["attributes"]["name"] for each in matches]
    for (relevance, similarity, _), match in zip(rows, matches, strict=True):
        assert float(relevance) == pytest.approx(match["relevance"], abs=0.003)
        assert float(similarity) == pytest.approx(match["similarity"], abs=0.003)


@pytest.mark.parametrize("word", ["microscope", "elefantt"])
def test_the_quick_start_shows_what_is_said_if_nothing_is_found(server: str, word: str) -> None:
    [shown] = re.findall(rf"\$ semsearch search {word}\n(.*?)\n(?:\n|```)", QUICK_START, re.DOTALL)
    said = semsearch(server, "search", word, check=False).stderr
    assert _without_numbers(said) == _without_numbers(shown)


def _without_numbers(text: str) -> str:
    return re.sub(r"\d\.\d+", "", " ".join(text.split()))


def _is_embedder(pid: int) -> bool:
    line = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return b"embedder_service" in line and b"-m" in line
