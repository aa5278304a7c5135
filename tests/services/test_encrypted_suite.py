"""Certificates are replaced while every hop is in use: no call fails, and new connections get the new certificate.

TLS_RENEWALS=20 replaces them more often; `make tls-load` does.
"""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPSConnection
from pathlib import Path

import pytest
from semsearch import SemsearchError
from semsearch.certificates.folder import LOCAL_HOSTS, CertificateFolder

from tests.services.encrypted_suite import IMAGES, SECONDS, EncryptedSuite, Load, admits

RENEWALS = int(os.environ.get("TLS_RENEWALS", "3"))
CALLS = 5
USED = "calls use the new certificate"
# At least as many lead from a gateway to other services: to the index, its replica and the embedder.
CHANNELS = 3


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EncryptedSuite]:
    suite = EncryptedSuite(tmp_path_factory.mktemp("encrypted"))
    with suite.running():
        suite.wait_until(lambda: is_filled(suite), "the gateway answers")
        yield suite


def is_filled(suite: EncryptedSuite) -> bool:
    try:
        with suite.client() as client:
            list(client.index_images(IMAGES))
            return bool(client.search_by_text("red", min_relevance=0.0))
    except SemsearchError:
        return False


def test_no_call_fails_while_certificates_are_replaced(
    suite: EncryptedSuite, capsys: pytest.CaptureFixture[str]
) -> None:
    load, shown = Load(suite), {suite.file("server.crt").read_text()}
    with load.running():
        load.wait_for_more(CALLS)
        for _ in range(RENEWALS):
            shown.add(renew(suite))
            load.wait_for_more(CALLS)
    with capsys.disabled():
        sys.stdout.write(f"\n{RENEWALS} renewals; calls: {dict(load.ended)}; failed: {len(load.failed)}\n")
    assert load.failed == []
    assert load.ended["stream"] == 2, "both lasted all the time"
    assert len(shown) == RENEWALS + 1


def renew(suite: EncryptedSuite) -> str:
    """Replace the certificate of the services, wait until every hop uses the new one, and return it."""
    replaced, used = suite.events("certificate replaced"), suite.events(USED)
    suite.certificates.renew(["server"])
    new = suite.file("server.crt").read_text()
    suite.wait_until(lambda: {*suite.shown_certificates()} == {new}, "each port shows the new one")
    suite.wait_until(
        lambda: all(suite.events(USED)[name] >= used[name] + CHANNELS for name in ("gateway 1", "gateway 2")),
        "calls between services show the new one",
    )
    assert suite.events("certificate replaced") == {name: count + 1 for name, count in replaced.items()}
    return new


def test_a_connection_over_http_ends_in_time_however_often_it_is_used(suite: EncryptedSuite) -> None:
    connection = HTTPSConnection("127.0.0.1", suite.http, timeout=SECONDS, context=suite.tls().context())

    def is_ended() -> bool:
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        response.read()
        return response.getheader("Connection") == "close"

    with closing(connection):
        suite.wait_until(is_ended, "a connection in use ends")


def test_a_broken_file_leaves_the_last_good_certificate(suite: EncryptedSuite) -> None:
    good = suite.file("server.crt").read_text()
    load, event = Load(suite), "certificate files cannot be used; the last good ones serve"
    with load.running():
        suite.file("server.crt").write_text("-----BEGIN CERTIFICATE-----\nnot base64")
        suite.wait_until(lambda: all(suite.events(event).values()), "each process reports the file")
        load.wait_for_more(CALLS)
        assert {*suite.shown_certificates()} == {good}
    assert {*suite.events(event).values()} == {1}
    assert load.failed == []
    suite.certificates.add("server", LOCAL_HOSTS, overwrite=True)
    new = suite.file("server.crt").read_text()
    suite.wait_until(lambda: {*suite.shown_certificates()} == {new}, "each port shows the new one")


def test_callers_without_a_good_certificate_are_refused_on_every_port(suite: EncryptedSuite, tmp_path: Path) -> None:
    suite.certificates.add("expired", days=-0.001)
    foreign = CertificateFolder(tmp_path)
    foreign.make()
    callers = {
        "none": None,
        "expired": (suite.file("expired.crt"), suite.file("expired.key")),
        "foreign": (tmp_path / "client.crt", tmp_path / "client.key"),
    }
    good = suite.tls().context()
    good.set_alpn_protocols(["h2", "http/1.1"])
    assert all(admits(port, good) for port in suite.ports)
    for pair in callers.values():
        context = ssl.create_default_context(cafile=suite.file("ca.crt"))
        context.set_alpn_protocols(["h2", "http/1.1"])
        if pair is not None:
            context.load_cert_chain(*pair)
        assert not any(admits(port, context) for port in suite.ports)
