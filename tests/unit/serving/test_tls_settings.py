"""Settings of encryption that go together."""

from __future__ import annotations

import re

import pytest

from gateway.settings import GatewaySettings
from serving.settings import load_settings

CERTIFICATE = ("--tls-cert=server.crt", "--tls-key=server.key")


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--tls-cert=server.crt"], "SEMSEARCH_TLS_KEY.*a certificate and its key go together"),
        (["--tls-key=server.key"], "SEMSEARCH_TLS_KEY.*a certificate and its key go together"),
        (["--tls-ca=ca.crt"], "SEMSEARCH_TLS_CA.*set SEMSEARCH_TLS_CERT too"),
        (["--http-tls-cert=page.crt"], "SEMSEARCH_GATEWAY_HTTP_TLS_KEY.*go together"),
    ],
)
def test_half_a_pair_is_refused(flags: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load_settings(GatewaySettings, flags)
    assert re.search(problem, capsys.readouterr().err)


def test_callers_need_certificates_once_there_is_an_authority_unless_that_is_waived() -> None:
    def wanted(*flags: str) -> tuple[bool, bool]:
        settings = load_settings(GatewaySettings, [*CERTIFICATE, *flags])
        return settings.wants_certificates, settings.http_wants_certificates

    assert wanted() == (False, False)
    assert wanted("--tls-ca=ca.crt") == (True, True)
    assert wanted("--tls-ca=ca.crt", "--http-tls-callers=any") == (True, False)
    assert wanted("--tls-ca=ca.crt", "--tls-callers=any") == (False, True)
