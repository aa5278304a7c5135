"""Certificate files that are replaced, damaged or about to expire, and what a process uses meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from semsearch.certificates.authority import Authority
from structlog.testing import capture_logs

from serving.tls import CertificateError
from tests.unit.serving.certified import Certified


@pytest.fixture
def certified(tmp_path: Path) -> Certified:
    return Certified(tmp_path / "certs")


def test_a_replaced_certificate_is_used(certified: Certified) -> None:
    files = certified.files()
    before = files.current
    files.look()
    assert files.current is before, "nothing has changed"
    certified.folder.renew()
    with capture_logs() as logs:
        files.look()
    assert files.current.chain == certified.file("server.crt").read_bytes() != before.chain
    assert [each["event"] for each in logs] == ["certificate replaced"]


@pytest.mark.parametrize("content", [b"", b"no certificate", None, b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
@pytest.mark.parametrize("name", ["server.crt", "server.key", "ca.crt"])
def test_a_broken_file_leaves_the_last_good_certificate_and_is_logged_once(
    certified: Certified, name: str, content: bytes | None
) -> None:
    files, good = certified.files(), certified.file(name).read_bytes()
    before = files.current
    certified.file(name).unlink()
    if content is not None:
        certified.file(name).write_bytes(content)
    with capture_logs() as logs:
        for _ in range(5):
            files.look()
    assert files.current is before
    assert [each["log_level"] for each in logs] == ["error"], logs
    assert str(certified.file(name)) in logs[0]["error"]
    certified.file(name).write_bytes(good)
    files.look()
    assert files.current.chain == before.chain


def test_files_that_are_replaced_one_by_one_are_no_error(certified: Certified) -> None:
    files, before = certified.files(), certified.file("server.crt").read_bytes()
    certified.folder.renew()
    after = certified.file("server.crt").read_bytes()
    certified.file("server.crt").write_bytes(before)
    with capture_logs() as logs:
        files.look()  # the new key is there, and still the old certificate
        assert files.current.chain == before
        certified.file("server.crt").write_bytes(after)
        files.look()
    assert files.current.chain == after
    assert [each["event"] for each in logs] == ["certificate replaced"]


def test_a_certificate_of_another_key_is_refused(certified: Certified) -> None:
    certified.file("server.key").write_bytes(certified.file("client.key").read_bytes())
    with pytest.raises(CertificateError, match=r"server\.key is not the key of the certificate in .*server\.crt"):
        certified.files()


def test_an_expired_certificate_does_not_replace_one_that_is_good(certified: Certified) -> None:
    files = certified.files()
    before = files.current
    certified.folder.renew(days=-0.001)
    with capture_logs() as logs:
        for _ in range(3):
            files.look()
    assert files.current is before
    assert [each["log_level"] for each in logs] == ["error"]


def test_a_certificate_that_expires_soon_is_logged_once_a_day(certified: Certified) -> None:
    certified.folder.renew(days=10)
    files = certified.files()
    assert not files.current.own.ends_soon(datetime.now(UTC)), "it was just made"
    assert files.current.own.ends_soon(datetime.now(UTC) + timedelta(days=8))
    certified.folder.renew(days=-0.001)  # a service starts with it, and says so
    with capture_logs() as logs:
        expired = certified.files()
        for _ in range(3):
            expired.look()
    assert [each["event"] for each in logs] == ["certificate has expired"]


@pytest.mark.parametrize(
    ("others", "days"),
    [
        pytest.param([("old", 100)], 100, id="one of several"),
        pytest.param(
            [("old", 300), ("old", 200), ("old", -0.001)], 300, id="of one that was replaced, the last to end"
        ),
        pytest.param([("old", -0.001)], -0.001, id="expired"),
    ],
)
def test_the_end_of_the_authorities_is_logged_and_measured(
    certified: Certified, others: list[tuple[str, float]], days: float
) -> None:
    with certified.file("ca.crt").open("ab") as file:
        file.writelines(Authority.make(*each).pair.certificate for each in others)
    expected = datetime.now(UTC) + timedelta(days=days)
    files = certified.files()
    with capture_logs() as logs:
        for _ in range(3):
            files.look()
    found = REGISTRY.get_sample_value(
        "semsearch_tls_certificate_expiry_timestamp_seconds", {"file": str(certified.file("ca.crt"))}
    )
    assert found == pytest.approx(expected.timestamp(), abs=60)
    warned = [(each["event"], each["file"]) for each in logs]
    assert warned == ([("certificate has expired", str(certified.file("ca.crt")))] if days < 0 else [])
    assert files.current.authority is not None
    assert files.current.authority.ends_soon(expected - timedelta(days=13 if days > 0 else 0))


def test_mounted_secrets_are_followed(certified: Certified, tmp_path: Path) -> None:
    """Kubernetes replaces a link to the folder that has the files."""
    mounted = tmp_path / "mounted"
    mounted.symlink_to(certified.folder.path)
    seen = Certified(tmp_path / "next")
    certified.folder.path = mounted
    files = certified.files()
    replacement = tmp_path / "link"
    replacement.symlink_to(seen.folder.path)
    replacement.replace(mounted)
    files.look()
    assert files.current.chain == seen.file("server.crt").read_bytes()
