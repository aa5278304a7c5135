"""TLS and tokens: what goes over the wire, and what is refused."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import code_pb2
from semsearch import AccessDenied, Client, InvalidRequest, ServerUnreachable, Tls
from semsearch.transport.server import is_this_machine

from tests.needs import need
from tests.unit.client.scripted_server import KINDS, Refusal, ScriptedServer, ask, running


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for the name photos.test, and its key."""
    need(shutil.which("openssl") is not None, "openssl is not installed, which makes the certificate of this test.")
    folder = tmp_path_factory.mktemp("pem")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout {key}"
    name = ["-subj", "/CN=photos.test", "-addext", "subjectAltName=DNS:photos.test"]
    subprocess.run([*command.split(), "-out", certificate, *name], check=True, capture_output=True)
    return certificate, key


@pytest.fixture
def script() -> ScriptedServer:
    return ScriptedServer()


@pytest.fixture
def encrypted(script: ScriptedServer, pem: tuple[Path, Path]) -> Iterator[str]:
    certificate, key = (path.read_bytes() for path in pem)
    with running(script, grpc.ssl_server_credentials([(key, certificate)])) as address:
        yield address


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_travels_encrypted(kind: str, script: ScriptedServer, encrypted: str, pem: tuple[Path, Path]) -> None:
    certificate, _ = pem
    for roots in (certificate, certificate.read_bytes()):
        tls = Tls(roots=roots, server_name="photos.test")
        ask(kind, encrypted, lambda client: client.get_model(), tls=tls, token="s3cret")
        assert script.metadata["authorization"] == "Bearer s3cret"
    credentials = grpc.ssl_channel_credentials(certificate.read_bytes())
    with pytest.raises(ServerUnreachable):  # the certificate is not for this host
        ask(kind, encrypted, lambda client: client.get_model(), tls=credentials)
    with pytest.raises(ServerUnreachable):  # no trusted authority signed it
        ask(kind, encrypted, lambda client: client.get_model(), tls=True)


@pytest.mark.parametrize("given", ["certificate", "key"])
def test_a_certificate_without_its_key_is_refused(given: str, pem: tuple[Path, Path]) -> None:
    with pytest.raises(InvalidRequest, match="go together"):
        Tls(**{given: pem[0]})


def test_variables_that_name_a_certificate_without_its_key_are_refused(
    pem: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEMSEARCH_CLIENT_TLS_CERT", str(pem[0]))
    with pytest.raises(InvalidRequest, match="go together"):
        Client("127.0.0.1:1")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("roots", r"roots.pem has no certificates in PEM"),
        ("certificate", r"certificate.pem is not a certificate in PEM"),
        ("key", r"The key in .*key.pem is not the key of the certificate in .*certificate.pem"),
        ("missing", r"missing.pem cannot be read"),
    ],
)
def test_files_that_cannot_be_used_are_named_before_anything_is_sent(
    kind: str, broken: str, said: str, pem: tuple[Path, Path], tmp_path: Path
) -> None:
    roots, certificate, key = (tmp_path / f"{name}.pem" for name in ("roots", "certificate", "key"))
    shutil.copy(pem[0], roots)
    shutil.copy(pem[0], certificate)
    shutil.copy(pem[1], key)
    match broken:
        case "key":
            another = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key]
            subprocess.run(another, check=True, capture_output=True)
        case "missing":
            key = tmp_path / "missing.pem"
        case _:
            (tmp_path / f"{broken}.pem").write_text("this is no PEM")
    with pytest.raises(InvalidRequest, match=said):
        ask(kind, "127.0.0.1:1", lambda client: client.get_model(), tls=Tls(roots, certificate, key))


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_may_change_and_stay_on_this_machine(kind: str, script: ScriptedServer) -> None:
    tokens = iter("abc")
    with running(script) as address:
        ask(kind, address, lambda client: client.get_model())
        assert "authorization" not in script.metadata
        for token in "abc":
            ask(kind, address, lambda client: client.get_model(), token=lambda: next(tokens))
            assert script.metadata["authorization"] == f"Bearer {token}"


@pytest.mark.parametrize("kind", KINDS)
def test_the_environment_has_the_token_unless_one_is_given(
    kind: str, script: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEMSEARCH_CLIENT_TOKEN", "s3cret\n")
    with running(script) as address:
        for given, sent in (({}, "Bearer s3cret"), ({"token": "own"}, "Bearer own"), ({"token": ""}, None)):
            script.will("GetModel", Refusal(code_pb2.UNAUTHENTICATED))
            with pytest.raises(AccessDenied):
                ask(kind, address, lambda client: client.get_model(), **given)
            assert script.metadata.get("authorization") == sent
    with pytest.raises(InvalidRequest, match="unencrypted"):
        ask(kind, "example.org:443", lambda client: client.get_model())


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_is_refused_without_tls_for_other_machines(kind: str) -> None:
    with pytest.raises(InvalidRequest, match=r"example\.org:443 unencrypted"):
        ask(kind, "example.org:443", lambda client: client.get_model(), token="s3cret")


@pytest.mark.parametrize(
    ("address", "is_it"),
    [
        ("localhost:1", True),
        ("127.0.0.1:1", True),
        ("127.8.8.8:1", True),
        ("[::1]:1", True),
        ("dns:///localhost:1", True),
        ("ipv4:127.0.0.1:1", True),
        ("unix:/run/semsearch.sock", True),
        ("unix-abstract:semsearch", True),
        ("unix.example.org:1", False),
        ("0.0.0.0:1", False),
        ("10.0.0.1:1", False),
        ("localhost.example.org:1", False),
        ("127.0.0.1.example.org:1", False),
        ("dns://8.8.8.8/photos:1", False),
        ("dns://127.0.0.1/photos:1", False),
        ("dns://8.8.8.8/localhost:1", False),
    ],
)
def test_only_addresses_of_this_machine_are_recognised(address: str, is_it: bool) -> None:
    assert is_this_machine(address) == is_it


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("token", ["s3cret\n", "s3cret\r\nx-admin: 1", "ключ"])
def test_a_token_that_no_header_can_carry_is_refused(kind: str, token: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot carry") as refused:
        ask(kind, "localhost:1", lambda client: client.get_model(), token=token)
    assert token.strip() not in str(refused.value)


def test_a_token_and_a_key_are_never_shown() -> None:
    with Client("localhost:1", token="s3cret") as client:
        assert "s3cret" not in repr(client) + repr(client.server)
    assert "s3cret" not in repr(Tls(certificate=b"", key=b"s3cret"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_that_was_closed_says_so(kind: str) -> None:
    def closed(client: Any) -> Any:
        closing = client.close()
        return client.get_model() if closing is None else _then(closing, client.get_model)

    async def _then(closing: Any, call: Any) -> Any:
        await closing
        return await call()

    with pytest.raises(InvalidRequest, match="This client is closed"):
        ask(kind, "127.0.0.1:1", closed)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(InvalidRequest, match=r"Tls\(roots=…\): no\.pem cannot be read"):
        Client("localhost:1", tls=Tls(roots=Path("no.pem")))


def test_an_unknown_caller_is_denied_access(script: ScriptedServer) -> None:
    script.will("GetModel", Refusal(code_pb2.UNAUTHENTICATED))
    with running(script) as address, pytest.raises(AccessDenied):
        ask("Client", address, lambda client: client.get_model())
