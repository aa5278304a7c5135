"""The first queries are lines that a shell takes as they are."""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
import time
from pathlib import Path

import pytest
from semsearch.certificates.folder import CertificateFolder

from launcher.services import Service
from launcher.suite import GRPCURL, READY, Example, command_lines, examples, own_token, welcome
from serving import callers
from serving.access.settings import AccessSettings
from serving.access.suite_key import SuiteKey
from serving.tls_settings import TlsSettings

SERVER = "127.0.0.1:50051"
REPOSITORY = Path(__file__).parents[3]
# Prints its arguments: the request from stdin if requested, else from the flag.
RECORDER = '#!/bin/sh\n[ "$3" = @ ] && cat || printf %s "$3"\nshift 3; echo; echo "$@"\n'


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    grpcurl = tmp_path / GRPCURL
    grpcurl.parent.mkdir(parents=True)
    grpcurl.write_text(RECORDER, encoding="utf-8")
    grpcurl.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(example: Example, folder: Path) -> tuple[dict[str, object], str, str]:
    done = subprocess.run(["sh", "-c", example.line], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    request, called = done.stdout.splitlines()
    server, method = called.split()
    return json.loads(request), server, method


def test_each_of_the_five_sends_json_to_a_method_of_its_own(root: Path) -> None:
    gallery = root / "starter" / "gallery"
    gallery.mkdir(parents=True)
    for name in ("cat-00.webp", "boat-00.webp"):
        (gallery / name).write_bytes(b"image")
    calls = [run(example, root) for example in examples(SERVER, Path("starter/gallery"))]
    assert {server for _, server, _ in calls} == {SERVER}
    assert [method.rpartition("/")[2] for _, _, method in calls] == [
        "SearchByText", "TagImage", "SimilarWords", "SearchByImage", "ListImages",
    ]  # fmt: skip


@pytest.mark.parametrize("folder", ["gallery", "my 'own' $(pictures) \"%s\""])
def test_an_images_bytes_arrive_whole_from_any_folder(root: Path, folder: str) -> None:
    gallery = root / folder
    gallery.mkdir()
    content = bytes(range(256)) * 300
    (gallery / "cat-00.webp").write_bytes(content)
    request, _, _ = run(examples(SERVER, gallery)[1], root)
    assert base64.b64decode(str(request["content"])) == content


def test_the_images_that_are_sent_ship() -> None:
    shipped = REPOSITORY / "starter" / "gallery"
    named = [word for example in examples(SERVER, shipped) for word in example.line.split() if word.endswith(".webp")]
    assert len(named) == 2
    assert all(Path(name).is_file() for name in named)


def test_the_grpcurl_that_make_builds_is_used_first(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path = root / "bin"
    on_path.mkdir()
    (root / GRPCURL).rename(on_path / "grpcurl")
    monkeypatch.setenv("PATH", str(on_path), prepend=":")
    assert examples(SERVER, root)[0].line.startswith("grpcurl ")
    (on_path / "grpcurl").rename(root / GRPCURL)
    assert examples(SERVER, root)[0].line.startswith(".tools/bin/grpcurl ")


def test_the_welcome_shows_addresses_and_says_how_to_get_grpcurl(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")
    text = welcome([Service("gateway", "", "127.0.0.1", 50051, 9051, tmp_path, http_port=8080)], tmp_path)
    assert READY in text
    assert SERVER in text
    assert "http://127.0.0.1:9051/metrics" in text
    assert "In a browser: http://127.0.0.1:8080" in text.splitlines()
    assert "make grpcurl" in text
    assert all(example.line in text.splitlines() for example in examples(SERVER, tmp_path))


def test_the_lines_for_the_command_name_a_moved_gateway_alone(tmp_path: Path) -> None:
    assert all("--server" not in line for line in command_lines(SERVER, tmp_path))
    assert all(line.endswith(" --server 127.0.0.1:6001") for line in command_lines("127.0.0.1:6001", tmp_path))


def test_callers_show_their_own_certificate_where_the_authoritys_folder_has_one(root: Path) -> None:
    folder = CertificateFolder(root / "certs")
    folder.make()
    files = {name: str(folder.path / name) for name in ("ca.crt", "server.crt", "server.key")}
    tls = TlsSettings(tls_cert=files["server.crt"], tls_key=files["server.key"], tls_ca=files["ca.crt"])
    gateway = Service("gateway", "", "127.0.0.1", 50051, -1, root, tls=tls)

    def shown() -> str:
        return next(line for line in welcome([gateway], root).splitlines() if "SearchByText" in line)

    assert f"-cacert {files['ca.crt']} -cert {folder.path}/client.crt -key {folder.path}/client.key" in shown()
    (folder.path / "client.key").unlink()
    assert f"-cert {files['server.crt']} -key {files['server.key']}" in shown()


def test_callers_show_no_certificate_where_none_is_asked_for(root: Path) -> None:
    tls = TlsSettings(tls_cert="server.crt", tls_key="server.key")
    text = welcome([Service("gateway", "", "127.0.0.1", 50051, -1, root, tls=tls)], root)
    assert "-d" in text
    assert "-plaintext" not in text
    assert "server.key" not in text


def test_a_suite_that_knows_its_callers_says_so_and_signs_the_launchers_own_calls(root: Path) -> None:
    key = root / "suite.key"
    key.write_text(secrets.token_hex(32), encoding="utf-8")
    access = AccessSettings(tokens=str(root / "tokens.json"))
    gateway = Service("gateway", "", "127.0.0.1", 50051, -1, root, access=access)
    assert "export SEMSEARCH_CLIENT_TOKEN=" in welcome([gateway], root)
    assert '-H "authorization: Bearer $SEMSEARCH_CLIENT_TOKEN"' in welcome([gateway], root)
    sign = own_token(gateway)
    assert sign is not None
    assert SuiteKey.parse(key.read_bytes()).caller(sign(), time.time()) == callers.SUITE
