"""What `semsearch doctor` says about encrypted services, real ones in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from semsearch.certificates.folder import CertificateFolder
from semsearch.cli import app
from semsearch.doctor.certificates import own_certificate_problem
from semsearch.doctor.findings import Finding, State
from semsearch.doctor.places import Place, ServicePlaces
from semsearch.doctor.services import examine_service
from typer.testing import CliRunner

INDEX = "semsearch.index.v1.IndexService"


@pytest.fixture
def folder(tmp_path: Path) -> CertificateFolder:
    made = CertificateFolder(tmp_path / "certs")
    made.make()
    return made


@contextmanager
def served(folder: CertificateFolder, name: str = "server") -> Iterator[Place]:
    """Serve an index that wants callers to have certificates."""
    server, reporting = grpc.server(ThreadPoolExecutor(4)), health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(reporting, server)
    reporting.set(INDEX, health_pb2.HealthCheckResponse.SERVING)
    reflection.enable_server_reflection([INDEX], server)
    key, chain, authority = ((folder.path / file).read_bytes() for file in (f"{name}.key", f"{name}.crt", "ca.crt"))
    credentials = grpc.ssl_server_credentials([(key, chain)], authority, require_client_auth=True)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield Place("index", "gRPC", "127.0.0.1", port, "SEMSEARCH_INDEX_PORT")
    finally:
        server.stop(None).wait()


@contextmanager
def examined(folder: CertificateFolder) -> Iterator[list[Finding]]:
    """Examine such an index, and yield what is found."""
    with served(folder) as place:
        yield list(examine_service(ServicePlaces("index", place, ()), suite_runs=True))


def use(monkeypatch: pytest.MonkeyPatch, folder: CertificateFolder, name: str = "client") -> None:
    for kind, file in (("CA", "ca.crt"), ("CERT", f"{name}.crt"), ("KEY", f"{name}.key")):
        monkeypatch.setenv(f"SEMSEARCH_CLIENT_TLS_{kind}", str(folder.path / file))


def test_a_good_certificate_needs_no_action(folder: CertificateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, folder)
    with examined(folder) as found:
        assert {each.state for each in found} == {State.OK}, found
        [certificate] = [each for each in found if each.part == "index: certificate"]
        assert "localhost" in certificate.text


def test_a_certificate_that_expires_soon_is_a_problem(
    folder: CertificateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, folder)
    folder.renew(["server"], days=0.0005)
    with examined(folder) as found:
        [certificate] = [each for each in found if each.state is State.PROBLEM]
        assert "expires in 0.0 days" in certificate.text
        assert "semsearch certs renew" in certificate.advice


@pytest.mark.parametrize(
    ("caller", "problem", "advice"),
    [
        ("plaintext", "is encrypted, and this connection was not", "SEMSEARCH_CLIENT_TLS_CA"),
        ("foreign", "shows a certificate that is not trusted", "names the authority that signed it"),
        ("expired", "does not accept this caller's certificate", "SEMSEARCH_CLIENT_TLS_CERT"),
    ],
)
def test_a_caller_that_is_encrypted_differently_learns_what_to_set(
    folder: CertificateFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caller: str, problem: str, advice: str
) -> None:
    folder.add("expired", days=-0.001)
    foreign = CertificateFolder(tmp_path / "foreign")
    foreign.make()
    match caller:
        case "foreign":
            use(monkeypatch, foreign)
        case "expired":
            use(monkeypatch, folder, "expired")
    with examined(folder) as [finding]:
        assert finding.state is State.PROBLEM
        assert problem in finding.text
        assert advice in finding.advice


def test_a_broken_certificate_of_the_caller_is_one_problem_and_what_the_service_shows_is_still_examined(
    folder: CertificateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, folder)
    assert own_certificate_problem() is None
    (folder.path / "client.key").write_bytes((folder.path / "server.key").read_bytes())
    own = own_certificate_problem()
    assert own is not None
    assert (own.part, own.state) == ("certificate", State.PROBLEM)
    assert f"The key in {folder.path / 'client.key'} is not the key of" in own.text
    assert "last good" in own.text
    assert "semsearch certs renew" in own.advice
    with examined(folder) as (asked, shown):
        assert asked.state is State.NOTE
        assert "was not asked" in asked.text
        assert (shown.part, shown.state) == ("index: certificate", State.OK)


@pytest.mark.parametrize("file", ["ca.crt", "client.crt", "client.key"])
@pytest.mark.parametrize("content", [None, "no PEM"])
def test_the_command_shows_its_table_whatever_is_wrong_with_the_callers_files(
    folder: CertificateFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, content: str | None
) -> None:
    use(monkeypatch, folder)
    for name, value in (("DATA", str(tmp_path)), ("EMBEDDER_PORT", "1"), ("CLIENT_SERVER", "127.0.0.1:1")):
        monkeypatch.setenv(f"SEMSEARCH_{name}", value)
    with served(folder) as place:
        (folder.path / file).unlink()
        if content is not None:
            (folder.path / file).write_text(content)
        done = CliRunner().invoke(app, ["doctor", "--json", "--index-address", place.address])
    assert done.exit_code == 1, done.output
    found = {each["part"]: each for each in json.loads(done.stdout)["findings"]}
    assert str(folder.path / file) in found["certificate"]["text"]
    assert found["index"]["state"] == "note"
    assert "disk" in found
