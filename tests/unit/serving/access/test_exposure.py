"""Whether a service may listen where other machines reach it."""

from __future__ import annotations

from typing import Any

import pytest

from serving.access.exposure import Exposed, check_exposure, is_loopback
from serving.settings import ServiceSettings, load_settings


class Settings(ServiceSettings):
    service = "gateway"


TLS = {"tls_cert": "a.pem", "tls_key": "a.key"}
TOKENS = {"tokens": "tokens.json"}
OIDC = {"oidc_issuer": "https://login.example", "oidc_audience": "a", "oidc_keys": "keys.json"}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "[::]", "10.0.0.1", "photos.example", ""])
@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, ["SEMSEARCH_TLS_CERT", "SEMSEARCH_TOKENS"]),
        (TLS, ["SEMSEARCH_TOKENS"]),
        (TOKENS, ["SEMSEARCH_TLS_CERT"]),
        (OIDC, ["SEMSEARCH_TLS_CERT"]),
        ({**TLS, **TOKENS}, []),
        ({**TLS, **OIDC}, []),
        ({"insecure": True}, []),
    ],
)
def test_other_machines_are_let_in_on_purpose_only(host: str, given: dict[str, Any], missing: list[str]) -> None:
    settings = Settings(host=host, **given)
    if not missing:
        check_exposure(settings)
        return
    with pytest.raises(Exposed) as refused:
        check_exposure(settings)
    for name in ("SEMSEARCH_TLS_CERT", "SEMSEARCH_TOKENS"):
        assert (name in str(refused.value)) == (name in missing)
    assert "SEMSEARCH_INSECURE=true (--insecure)" in str(refused.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_this_machine_needs_nothing(host: str) -> None:
    assert is_loopback(host)
    check_exposure(Settings(host=host))


def test_insecure_is_a_flag_without_a_value() -> None:
    assert load_settings(Settings, ["--insecure"]).insecure
    assert not load_settings(Settings, []).insecure


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--oidc-issuer=https://login.example"], "go together"),
        (["--oidc-keys=keys.json"], "go together"),
        (["--oidc-issuer=i", "--oidc-audience=a", "--oidc-keys=http://login.example/keys"], "could be anyone's"),
        (["--oidc-algorithms=HS256"], "HS256 is not one of RS256"),
        (["--oidc-algorithms=,"], "name at least one"),
        (["--oidc-role-claim=a..b"], "empty name"),
    ],
)
def test_a_provider_is_set_completely_and_safely(
    flags: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        load_settings(Settings, flags)
    assert problem in capsys.readouterr().err
