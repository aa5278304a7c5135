"""A file that a setting names and that cannot be used refuses the start, in words that lead to setting and remedy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.settings import GatewaySettings
from serving import setting_files
from serving.setting_files import print_settings
from tests.unit.serving.certified import Certified


@pytest.fixture
def certified(tmp_path: Path) -> Certified:
    return Certified(tmp_path / "certs")


def refusal(capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    with pytest.raises(SystemExit) as refused:
        print_settings(GatewaySettings, flags)
    assert refused.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err


def encrypted(certified: Certified, **files: str) -> list[str]:
    names = {"cert": "server.crt", "key": "server.key", "ca": "ca.crt"} | files
    return [f"--tls-{kind}={certified.file(name)}" for kind, name in names.items()]


@pytest.mark.parametrize("kind", ["cert", "key", "ca"])
def test_a_certificate_file_that_is_missing_is_named_with_its_setting(
    certified: Certified, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    said = refusal(capsys, *encrypted(certified, **{kind: "nope"}))
    assert f"The setting SEMSEARCH_TLS_{kind.upper()} (--tls-{kind}) is wrong: " in said
    assert f"{certified.file('nope')} does not exist. `semsearch certs make` makes" in said


def test_a_certificate_of_the_http_port_that_is_missing_is_named_with_its_setting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refusal(capsys, f"--http-tls-cert={tmp_path / 'page.crt'}", f"--http-tls-key={tmp_path / 'page.key'}")
    assert "The setting SEMSEARCH_GATEWAY_HTTP_TLS_CERT (--http-tls-cert) is wrong: " in said


def test_a_key_of_another_certificate_is_named_with_its_setting(
    certified: Certified, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refusal(capsys, *encrypted(certified, key="client.key"))
    assert "The setting SEMSEARCH_TLS_KEY (--tls-key) is wrong: The key in " in said
    assert "`semsearch certs make`" not in said, "the file is there"


def test_an_expired_certificate_is_named_with_its_end(certified: Certified, capsys: pytest.CaptureFixture[str]) -> None:
    certified.folder.renew(days=-0.001)
    said = refusal(capsys, *encrypted(certified))
    assert f"The setting SEMSEARCH_TLS_CERT (--tls-cert) is wrong: {certified.file('server.crt')} expired on " in said
    assert "Renew it, for example with `semsearch certs renew`" in said


def test_a_certificate_of_the_future_is_named_with_its_begin(
    certified: Certified, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setting_files, "_now", lambda: datetime.now(UTC) - timedelta(days=30))
    said = refusal(capsys, *encrypted(certified))
    assert f"{certified.file('server.crt')} is not valid before " in said
    assert "clock" in said


def test_an_expired_certificate_of_the_http_port_is_refused_too(
    certified: Certified, capsys: pytest.CaptureFixture[str]
) -> None:
    certified.folder.add("page", ["photos.example"], days=-0.001)
    page = [f"--http-tls-cert={certified.file('page.crt')}", f"--http-tls-key={certified.file('page.key')}"]
    said = refusal(capsys, *encrypted(certified), *page)
    assert "The setting SEMSEARCH_GATEWAY_HTTP_TLS_CERT (--http-tls-cert) is wrong: " in said


def test_a_file_of_tokens_that_is_missing_is_named_with_its_setting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refusal(capsys, f"--tokens={tmp_path / 'tokens.json'}")
    assert said == (
        f"The setting SEMSEARCH_TOKENS (--tokens) is wrong: {tmp_path / 'tokens.json'} does not exist. "
        "`semsearch token create` makes it, with a first token.\n"
    )


def test_a_suite_key_that_was_left_behind_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokens = tmp_path / "tokens.json"
    tokens.write_text("{}", encoding="utf-8")
    said = refusal(capsys, f"--tokens={tokens}")
    assert said == (
        f"The setting SEMSEARCH_SUITE_KEY (--suite-key) is wrong: {tmp_path / 'suite.key'} does not exist. "
        "The key lies beside the file of tokens unless this setting names another. `semsearch token create` makes it "
        "there; copy it together with the tokens.\n"
    )


def test_a_damaged_file_of_tokens_is_named_with_its_setting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokens = tmp_path / "tokens.json"
    tokens.write_text('{"bad', encoding="utf-8")
    (tmp_path / "suite.key").write_text("k" * 64, encoding="utf-8")
    said = refusal(capsys, f"--tokens={tokens}")
    assert f"The setting SEMSEARCH_TOKENS (--tokens) is wrong: {tokens} cannot be used: it is not a token file" in said


def test_live_settings_that_are_missing_are_named_with_their_setting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refusal(capsys, f"--live-settings={tmp_path / 'live.toml'}")
    assert f"SEMSEARCH_LIVE_SETTINGS (--live-settings) names {tmp_path / 'live.toml'}." in said


def test_listening_for_other_machines_by_oversight_is_refused_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert "The gateway would listen on 0.0.0.0" in refusal(capsys, "--host=0.0.0.0")
