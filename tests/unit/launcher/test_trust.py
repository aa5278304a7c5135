"""A suite whose services would refuse each other's certificates is not started."""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher.errors import CertificateNotTrusted
from launcher.services import Service
from launcher.trust import check_trust
from serving.tls_settings import TlsSettings
from tests.unit.serving.certified import Certified


@pytest.fixture
def certified(tmp_path: Path) -> Certified:
    return Certified(tmp_path / "certs")


def service(name: str, certified: Certified, certificate: str = "server", ca: str = "ca.crt", **more: str) -> Service:
    files = {"tls_cert": f"{certificate}.crt", "tls_key": f"{certificate}.key", **({"tls_ca": ca} if ca else {})}
    tls = TlsSettings(**{kind: str(certified.file(file)) for kind, file in files.items()}, **more)
    return Service(name, "", "127.0.0.1", 1, -1, Path("var"), tls=tls)


def refusal(gateway: Service, other: Service) -> str:
    with pytest.raises(CertificateNotTrusted) as refused:
        check_trust(gateway, [other, gateway])
    assert refused.value.exit_status == 2
    return str(refused.value)


def test_certificates_of_the_suites_own_authority_are_trusted(certified: Certified) -> None:
    check_trust(service("gateway", certified), [service("index", certified), service("gateway", certified)])


def test_a_forgotten_authority_is_named(certified: Certified) -> None:
    said = refusal(service("gateway", certified, ca=""), service("index", certified, ca=""))
    assert f"{certified.file('server.crt')} is not from an authority that gRPC trusts by itself" in said
    assert "Set SEMSEARCH_TLS_CA (--tls-ca)" in said


def test_authorities_that_grpc_is_told_to_trust_count(certified: Certified, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", str(certified.file("ca.crt")))
    check_trust(service("gateway", certified, ca=""), [service("index", certified, ca="")])


def test_a_certificate_of_another_authority_is_refused(certified: Certified, tmp_path: Path) -> None:
    other = Certified(tmp_path / "other")
    said = refusal(service("gateway", certified), service("index", other))
    assert f"{other.file('server.crt')} is not from an authority in {certified.file('ca.crt')}" in said


def test_a_certificate_for_other_hosts_is_refused_unless_its_name_is_given(certified: Certified) -> None:
    certified.folder.add("index", ["index.example"])
    index = service("index", certified, "index")
    assert "is not for 127.0.0.1" in refusal(service("gateway", certified), index)
    check_trust(service("gateway", certified, tls_server_name="index.example"), [index])


def test_a_suite_without_encryption_needs_no_trust(certified: Certified) -> None:
    plain = Service("gateway", "", "127.0.0.1", 1, -1, Path("var"))
    check_trust(plain, [plain, service("index", certified)])
