"""The suite with the shipped model and gallery, through the `semsearch` command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from semsearch import Client
from semsearch.errors import SemsearchError

from tests.end_to_end.launcher_process import READY, REPOSITORY, Launcher, launcher, settings
from tests.end_to_end.semsearch_command import CALL_SECONDS, semsearch
from tests.needs import SHARED_DATA, need

GALLERY = REPOSITORY / "starter" / "gallery"
BUNDLE = REPOSITORY / "starter" / "bundle"
PHOTOS = SHARED_DATA / "photos"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    own = settings(tmp_path_factory.mktemp("var"), BUNDLE)
    with launcher(own, GALLERY) as started:
        started.wait_for(READY)
        yield f"127.0.0.1:{own['SEMSEARCH_GATEWAY_PORT']}"


def found(server: str, *query: str) -> list[str]:
    """The labels of the first ten images of the gallery for a query."""
    return labels(semsearch(server, "search", "--json", "-n", 10, *query))


def labels(search: subprocess.CompletedProcess[str]) -> list[str]:
    return [match["image"]["attributes"]["label"] for match in json.loads(search.stdout)["matches"]]


@pytest.mark.parametrize("word", ["boat", "cat", "banana", "elephant", "clock", "guitar"])
def test_a_word_finds_its_pictures_before_any_other(server: str, word: str) -> None:
    assert Counter(found(server, word))[word] >= 8


def test_a_word_that_is_no_label_finds_its_kind(server: str) -> None:
    assert set(found(server, "fruit")) <= {"apple", "banana"}


def test_a_picture_finds_its_like_and_is_tagged_with_its_word(server: str) -> None:
    image = GALLERY / "elephant-03.webp"
    found = labels(semsearch(server, "search", "--json", "-n", 10, "--image", image))
    assert Counter(found)["elephant"] >= 8
    tags = json.loads(semsearch(server, "tag", "--json", image).stdout)["tags"]
    assert "elephant" in [tag["word"] for tag in tags]


def test_words_find_their_neighbours_and_a_typo_is_reported(server: str) -> None:
    words = json.loads(semsearch(server, "words", "--json", "dog").stdout)["words"]
    assert "puppy" in [match["word"] for match in words]
    wrong = semsearch(server, "search", "elefantt", check=False)
    assert wrong.returncode != 0
    assert "elefantt" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_photos_are_indexed_once_with_what_could_not_be_read(server: str, tmp_path: Path) -> None:
    need(PHOTOS.exists(), f"There are no photos in {PHOTOS}.")
    (tmp_path / "photos").symlink_to(PHOTOS)
    first = semsearch(server, "index", tmp_path / "photos", "--collection", "photos", "--json", check=False)
    outcomes = Counter(json.loads(line)["outcome"] for line in first.stdout.splitlines() if '"outcome"' in line)
    assert outcomes["added"] >= 250
    again = semsearch(server, "index", tmp_path / "photos", "--collection", "photos", "--json", check=False)
    outcomes = Counter(json.loads(line)["outcome"] for line in again.stdout.splitlines() if '"outcome"' in line)
    assert outcomes["added"] == 0


def test_latencies_are_measured_beside_those_of_grpc_alone(server: str, tmp_path: Path) -> None:
    out = tmp_path / "results" / "latency.json"
    bench(server, "--seconds", "0.05", "--rounds", "1", "--out", str(out)).check_returncode()
    rows = json.loads(out.read_text())
    calls = ("bare echo", "bare two-hop", "SearchByText", "TagImage", "TagImage, stored")
    assert {(row["call"], row["clients"]) for row in rows} == set(product(calls, (1, 16)))
    for row in rows:
        assert 0 < row["p50_ms"] <= row["p99_ms"]
        assert row["calls_per_second"] > 0


def test_a_bench_without_a_suite_fails_with_one_sentence(tmp_path: Path) -> None:
    done = bench("127.0.0.1:1", "--out", str(tmp_path / "latency.json"))
    assert done.returncode == 1
    assert done.stderr == "The gateway at 127.0.0.1:1 does not answer (UNAVAILABLE). Run `make run-all` first.\n"


def bench(server: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", "--server", server, *arguments],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=CALL_SECONDS, check=False,
    )  # fmt: skip


def test_an_index_killed_during_ingest_keeps_answered_images(tmp_path: Path) -> None:
    own = settings(tmp_path / "var", BUNDLE)
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "truth.jsonl").touch()
    arguments = ["index", GALLERY, "--json", "--server", f"127.0.0.1:{own['SEMSEARCH_GATEWAY_PORT']}"]
    answered: set[str] = set()
    is_killed = False
    with launcher(own, empty) as started:
        started.wait_for(READY)
        with subprocess.Popen(
            [Path(sys.executable).parent / "semsearch", *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        ) as sending:  # fmt: skip
            assert sending.stdout is not None
            for line in sending.stdout:
                result = json.loads(line)
                if result.get("outcome") == "added":
                    answered.add(result["id"])
                if len(answered) == 100 and not is_killed:
                    os.kill(_pid_of("index_service", started), signal.SIGKILL)
                    is_killed = True
        assert is_killed
        started.wait_for("The index serves again.")
        server = f"127.0.0.1:{own['SEMSEARCH_GATEWAY_PORT']}"
        assert answered <= _ids(server)
        semsearch(server, "index", GALLERY)
        assert len(_ids(server)) == len(list(GALLERY.glob("*.webp")))


def _ids(server: str) -> set[str]:
    """Return the ids of all images, as soon as the gateway reaches the index."""
    deadline = time.monotonic() + CALL_SECONDS
    with Client(server) as client:
        while True:
            try:
                return {image.id for image in client.list_images()}
            except SemsearchError:
                assert time.monotonic() < deadline
                time.sleep(0.1)


def _pid_of(module: str, started: Launcher) -> int:
    rows = subprocess.run(["ps", "-A", "-o", "pid=,command="], capture_output=True, text=True, check=True).stdout
    own = started.descendants()
    for row in rows.splitlines():
        pid, _, line = row.strip().partition(" ")
        if int(pid) in own and f"-m {module}" in line and "sh -c" not in line:
            return int(pid)
    raise AssertionError(rows)
