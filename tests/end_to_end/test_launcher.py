"""The program of `make run-all` with the real services: starts, first queries, stops, and failures."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from semsearch import Client
from semsearch.certificates.folder import CertificateFolder
from semsearch.errors import SemsearchError

from launcher.suite import GRPCURL, examples
from tests.bundles import write_test_bundle
from tests.end_to_end.launcher_process import (
    READY,
    REPOSITORY,
    STOP_SECONDS,
    Launcher,
    assert_all_gone,
    launcher,
    run_launcher,
    settings,
    two_gateways,
)
from tests.end_to_end.semsearch_command import semsearch
from tests.needs import need
from tests.services.shared_state import owner

STARTER = REPOSITORY / "starter" / "gallery"
FILLING = "Filling the gallery"
CALL_SECONDS = 60.0


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_test_bundle(tmp_path_factory.mktemp("bundle"), tflite=True)


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty of the gallery's images, with their truth."""
    folder = tmp_path_factory.mktemp("gallery")
    for file in STARTER.glob("*-00.webp"):
        shutil.copy(file, folder)
    shutil.copy(STARTER / "truth.jsonl", folder)
    return folder


@pytest.fixture(scope="module")
def own_of_running(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> dict[str, str]:
    return {**settings(tmp_path_factory.mktemp("var"), bundle), **two_gateways()}


@pytest.fixture(scope="module")
def running(own_of_running: dict[str, str], gallery: Path) -> Iterator[tuple[Launcher, str]]:
    """A launcher that is ready, and the gateway's address."""
    with launcher(own_of_running, gallery) as started:
        started.wait_for(READY)
        yield started, f"127.0.0.1:{own_of_running['SEMSEARCH_GATEWAY_PORT']}"


@pytest.fixture
def own(tmp_path: Path, bundle: Path) -> dict[str, str]:
    return settings(tmp_path / "var", bundle)


@pytest.mark.parametrize(
    ("number", "answer", "count"),
    [(0, "matches", 3), (1, "tags", 5), (2, "words", 5), (3, "matches", 3), (4, "images", 3)],
)
def test_each_query_that_is_shown_works_as_it_is_printed(
    running: tuple[Launcher, str], gallery: Path, number: int, answer: str, count: int
) -> None:
    built = (REPOSITORY / GRPCURL).exists() or shutil.which("grpcurl") is not None
    need(built, "There is no grpcurl: `make grpcurl` builds it.")
    started, server = running
    titles = [example.title for example in examples(server, gallery)]
    line = started.lines[started.lines.index(f"# {titles[number]}") + 1]
    done = subprocess.run(
        ["sh", "-c", line], cwd=REPOSITORY, capture_output=True, text=True, timeout=CALL_SECONDS, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(json.loads(done.stdout)[answer]) == count


def test_the_lines_for_the_command_reach_a_moved_gateway(running: tuple[Launcher, str]) -> None:
    started, server = running
    line = next(line for line in started.lines if " search boat" in line)
    assert line.endswith(f" --server {server}")
    done = subprocess.run(
        ["sh", "-c", f"{line} --json"], cwd=REPOSITORY, capture_output=True, text=True, timeout=CALL_SECONDS, check=True
    )
    assert json.loads(done.stdout)["matches"]


def test_while_it_runs_a_file_says_where_and_a_second_one_is_refused(
    running: tuple[Launcher, str], own_of_running: dict[str, str], gallery: Path
) -> None:
    started, server = running
    file = Path(own_of_running["SEMSEARCH_DATA"]) / "suite.json"
    # The second process's ports follow the highest: see `two_gateways`.
    first = int(own_of_running["SEMSEARCH_GATEWAY_PORT"])
    second = {"address": f"127.0.0.1:{first + 4}", "metrics_port": first + 8}
    assert json.loads(file.read_text()) == {
        "gateway": server,
        "http": f"http://127.0.0.1:{own_of_running['SEMSEARCH_GATEWAY_HTTP_PORT']}",
        "embedder": f"127.0.0.1:{own_of_running['SEMSEARCH_EMBEDDER_PORT']}",
        "index": f"127.0.0.1:{own_of_running['SEMSEARCH_INDEX_PORT']}",
        "processes": {"gateway-2": second},
        "pid": started.process.pid,
    }
    done = run_launcher(own_of_running, gallery)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"Its gateway is at {server} (process {started.process.pid})" in done.stderr
    assert file.exists()


def test_a_killed_service_starts_again_and_the_suite_goes_on(running: tuple[Launcher, str]) -> None:
    started, server = running
    os.kill(started.process_of("index_service"), signal.SIGKILL)
    started.wait_for("The index was killed by signal 9 (SIGKILL). The next start is in 1 s")
    started.wait_for("The index serves again.")
    deadline = time.monotonic() + CALL_SECONDS
    with Client(server) as client:
        while True:
            try:
                found = client.search_by_text("boat")
            except SemsearchError:  # the gateway connects to it again in its own time
                assert time.monotonic() < deadline
                time.sleep(0.1)
            else:
                assert found.matches
                return


def test_while_one_gateway_process_starts_again_the_other_answers(
    running: tuple[Launcher, str], own_of_running: dict[str, str]
) -> None:
    started, server = running
    highest = int(own_of_running["SEMSEARCH_INDEX_PORT"])
    assert owner(f"127.0.0.1:{highest}") in {f"127.0.0.1:{highest + number}" for number in (1, 2)}
    with Client(server) as client:
        assert client.search_by_text("boat").matches
        # Connections that wait to be accepted end with the process, so it takes a client that tries again.
        os.kill(started.process_of("gateway"), signal.SIGKILL)
        assert client.search_by_text("boat").matches
    until = time.monotonic() + CALL_SECONDS
    while not re.search("The gateway(-2)? serves again", started.text):
        assert time.monotonic() < until
        time.sleep(0.1)


def test_the_first_start_fills_the_gallery_and_its_truth(running: tuple[Launcher, str], gallery: Path) -> None:
    started, server = running
    assert any(line.startswith("20 images added") for line in started.lines)
    listed = subprocess.run(
        [Path(sys.executable).parent / "semsearch", "list", "--json", "--server", server],
        capture_output=True, text=True, timeout=CALL_SECONDS, check=True,
    )  # fmt: skip
    images = [json.loads(line)["attributes"] for line in listed.stdout.splitlines()]
    truth = [json.loads(line) for line in (gallery / "truth.jsonl").read_text().splitlines()]
    expected = {each["file"]: (each["label"], each["setting"]) for each in truth if each["file"].endswith("-00.webp")}
    assert {image["path"]: (image["label"], image["setting"]) for image in images} == expected


def test_an_interrupted_filling_goes_on_at_the_next_start(own: dict[str, str]) -> None:
    with launcher(own, STARTER) as started:
        started.wait_for(FILLING)
        processes = started.descendants()
        assert len(processes) >= 4  # the services, and what looks after them
        started.process.send_signal(signal.SIGINT)
        started.wait_for("Stopping ...")
        assert started.stop(signal.SIGINT) == 130
        assert_all_gone(processes, own)
    assert "Traceback" not in started.text
    assert not (Path(own["SEMSEARCH_DATA"]) / "suite.json").exists()
    with launcher(own, STARTER) as started:
        started.wait_for(READY)
        added = next(line for line in started.lines if "images added" in line)
        there = int(added.partition(", ")[2].split()[0]) if "already there" in added else 0
        assert int(added.split()[0]) + there == len(list(STARTER.glob("*.webp")))


def test_a_second_start_fills_nothing_and_a_kill_ends_all(own: dict[str, str], gallery: Path) -> None:
    with launcher(own, gallery) as started:
        started.wait_for(READY)
        assert FILLING in started.text
        processes = started.descendants()
        assert started.stop(signal.SIGTERM) == 143
        assert_all_gone(processes, own)
    with launcher(own, gallery) as started:
        started.wait_for(READY)
        assert FILLING not in started.text
        processes = started.descendants()
        started.stop(signal.SIGKILL)
        assert_all_gone(processes, own, STOP_SECONDS)


def test_a_backup_is_restored_into_a_suite_without_the_starter_pictures(
    own: dict[str, str], gallery: Path, tmp_path: Path
) -> None:
    server = f"127.0.0.1:{own['SEMSEARCH_GATEWAY_PORT']}"
    own["SEMSEARCH_GATEWAY_BACKUPS"] = str(tmp_path / "backups")
    with launcher(own, gallery) as started:
        started.wait_for(READY)
        semsearch(server, "backup")
        refused = semsearch(server, "restore", check=False)
        assert refused.returncode == 1
        assert "`make run-all NO_GALLERY=1`" in refused.stderr
    own["SEMSEARCH_DATA"] = str(tmp_path / "restored")
    with launcher(own, gallery, "--no-gallery") as started:
        started.wait_for(READY)
        assert FILLING not in started.text
        semsearch(server, "restore")
        assert len(semsearch(server, "list", "--json").stdout.splitlines()) == 20


def test_a_suite_that_was_started_without_the_starter_pictures_stays_so(own: dict[str, str], gallery: Path) -> None:
    for flags in (["--no-gallery"], []):
        with launcher(own, gallery, *flags) as started:
            started.wait_for(READY)
            assert FILLING not in started.text


def test_make_leaves_the_starter_pictures_out_if_asked() -> None:
    for arguments, flags in (([], []), (["NO_GALLERY=1"], ["--no-gallery"])):
        said = subprocess.run(
            ["make", "--dry-run", "run-all", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True
        )  # fmt: skip
        assert said.stdout.splitlines()[-1].split()[1:] == ["-m", "launcher", *flags]


def test_a_service_that_cannot_start_is_named_and_all_is_stopped(own: dict[str, str], gallery: Path) -> None:
    done = run_launcher({**own, "SEMSEARCH_EMBEDDER_DEFAULT_MODEL": "/no/such/bundle"}, gallery)
    assert done.returncode == 1
    assert done.stderr.startswith("The embedder cannot start: it ended with status 1")
    assert "/no/such/bundle" in done.stderr
    assert done.stderr.count("\n") == 1
    assert_all_gone([], own)


def test_with_json_logs_each_line_is_a_document(own: dict[str, str], gallery: Path) -> None:
    wrong = {"SEMSEARCH_LOG_FORMAT": "json", "SEMSEARCH_EMBEDDER_DEFAULT_MODEL": "/no/such/bundle"}
    done = run_launcher({**own, **wrong}, gallery)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"launcher", "index"} <= {each["process"] for each in said}
    (failure,) = (json.loads(line) for line in done.stderr.splitlines())
    assert failure["event"].startswith("The embedder cannot start: ")
    assert (done.returncode, failure["level"]) == (1, "error")


@pytest.mark.parametrize("setting", ["SEMSEARCH_GATEWAY_PORT", "SEMSEARCH_INDEX_METRICS_PORT"])
def test_a_port_in_use_is_one_sentence_and_nothing_starts(own: dict[str, str], gallery: Path, setting: str) -> None:
    with socket.create_server(("127.0.0.1", int(own[setting]))):
        done = run_launcher(own, gallery)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Port {own[setting]} ")
    assert setting in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("SEMSEARCH_LOG_LEVEL", "loud"),
        ("SEMSEARCH_EMBEDDER_PROT", "1"),
        ("SEMSEARCH_DATTA", "x"),
        ("SEMSEARCH_TOKENS", "/no/such/tokens.json"),
        ("SEMSEARCH_LIVE_SETTINGS", "/no/such/live.toml"),
    ],
)
def test_a_bad_setting_is_one_sentence_and_nothing_starts(
    own: dict[str, str], gallery: Path, setting: str, text: str
) -> None:
    done = run_launcher({**own, setting: text}, gallery)
    assert (done.returncode, done.stdout) == (2, "")
    assert setting in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("days", "authority", "said"),
    [
        pytest.param(-0.001, True, "server.crt expired on ", id="expired"),
        pytest.param(30, False, "Set SEMSEARCH_TLS_CA (--tls-ca) to the file with its authority", id="no authority"),
    ],
)
def test_certificates_that_no_hop_would_accept_are_one_sentence_and_nothing_starts(
    own: dict[str, str], gallery: Path, tmp_path: Path, days: float, authority: bool, said: str
) -> None:
    folder = CertificateFolder(tmp_path / "certs")
    folder.make()
    folder.renew(days=days)
    files = {"CERT": "server.crt", "KEY": "server.key", **({"CA": "ca.crt"} if authority else {})}
    done = run_launcher(
        {**own, **{f"SEMSEARCH_TLS_{kind}": str(folder.path / file) for kind, file in files.items()}}, gallery
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
