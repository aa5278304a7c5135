"""Whether and how a connection is encrypted: by arguments, variables, options of the command, or the folder's suite."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from semsearch import Client, ServerUnreachable, Tls
from semsearch.certificates.folder import CertificateFolder
from semsearch.cli import app
from semsearch.transport.tls import tls_of_environment
from typer.testing import CliRunner

NAMES = ("TLS", "TLS_CA", "TLS_CERT", "TLS_KEY", "TLS_SERVER_NAME")


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder; what a command sets is unset at the end."""
    for name in NAMES:
        monkeypatch.setenv(f"SEMSEARCH_CLIENT_{name}", "")
    monkeypatch.setenv("SEMSEARCH_DATA", str(tmp_path))
    monkeypatch.delenv("SEMSEARCH_CLIENT_SERVER", raising=False)
    return tmp_path


def test_variables_name_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tls_of_environment() is False
    monkeypatch.setenv("SEMSEARCH_CLIENT_TLS", "1")
    assert tls_of_environment() is True
    monkeypatch.setenv("SEMSEARCH_CLIENT_TLS_CA", "ca.crt")
    assert tls_of_environment() == Tls(roots=Path("ca.crt"))


def test_arguments_count_more_than_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMSEARCH_CLIENT_TLS", "1")
    with Client("127.0.0.1:1") as encrypted, Client("127.0.0.1:1", tls=False) as plain:
        assert (encrypted.server.tls, plain.server.tls) == (True, False)


def test_options_of_the_command_stand_for_the_variables() -> None:
    words = ["--tls-ca=other.crt", "--tls-cert=me.crt", "--tls-key=me.key", "certs", "list", "--dir=nowhere"]
    assert CliRunner().invoke(app, words[1:2] + words[3:]).exit_code == 2, "a certificate without its key"
    assert CliRunner().invoke(app, words).exit_code == 0
    assert tls_of_environment() == Tls(Path("other.crt"), Path("me.crt"), Path("me.key"))


@pytest.mark.parametrize(("server", "is_encrypted"), [([], True), (["--server=127.0.0.1:2"], False)])
def test_the_suite_of_the_folder_says_how(data: Path, server: list[str], is_encrypted: bool) -> None:
    files = {"ca": "/certs/ca.crt", "certificate": "/certs/server.crt", "key": "/certs/server.key"}
    (data / "suite.json").write_text(json.dumps({"gateway": "127.0.0.1:1", "pid": os.getpid(), "tls": files}))
    assert CliRunner().invoke(app, ["list", *server]).exit_code == 1, "nothing listens there"
    assert bool(tls_of_environment()) is is_encrypted


@pytest.fixture
def certificates(tmp_path: Path) -> CertificateFolder:
    made = CertificateFolder(tmp_path / "certs")
    made.make()
    return made


@pytest.fixture
def ports(certificates: CertificateFolder) -> Iterator[tuple[int, int]]:
    """An encrypted port that wants certificates, and one that is not encrypted."""
    server = grpc.server(ThreadPoolExecutor(1))
    key, chain, authority = ((certificates.path / name).read_bytes() for name in ("server.key", "server.crt", "ca.crt"))
    credentials = grpc.ssl_server_credentials([(key, chain)], authority, require_client_auth=True)
    both = server.add_secure_port("127.0.0.1:0", credentials), server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield both
    server.stop(None).wait()


@pytest.mark.parametrize(
    ("caller", "message", "hint"),
    [
        ("plaintext", "closes connections", "SEMSEARCH_CLIENT_TLS_CA"),
        ("no certificate", "closes connections", "SEMSEARCH_CLIENT_TLS_CERT"),
        ("other authorities", "not trusted", "SEMSEARCH_CLIENT_TLS_CA"),
        ("other host", "not for this host", "SEMSEARCH_CLIENT_TLS_SERVER_NAME"),
        ("encrypted", "is not encrypted", "unset"),
    ],
)
def test_an_encryption_that_does_not_fit_is_named(
    certificates: CertificateFolder, ports: tuple[int, int], caller: str, message: str, hint: str
) -> None:
    roots, own, key = (certificates.path / name for name in ("ca.crt", "client.crt", "client.key"))
    tls: dict[str, bool | Tls] = {
        "plaintext": False,
        "no certificate": Tls(roots),
        "other authorities": True,
        "other host": Tls(roots, own, key, server_name="elsewhere.example"),
        "encrypted": Tls(roots, own, key),
    }
    address = f"127.0.0.1:{ports[caller == 'encrypted']}"
    with Client(address, tls=tls[caller]) as client, pytest.raises(ServerUnreachable, match=message) as caught:
        client.get_model()
    assert hint in caught.value.hint
