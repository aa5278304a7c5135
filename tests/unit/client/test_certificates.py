"""Certificates that `semsearch certs` makes: which hosts and callers they are valid for, and their files."""

from __future__ import annotations

import json
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from semsearch.certificates.authority import Authority
from semsearch.certificates.folder import CertificateFolder
from semsearch.cli import app
from semsearch.errors import FolderStopped, InvalidRequest
from typer.testing import CliRunner


@pytest.fixture
def folder(tmp_path: Path) -> CertificateFolder:
    made = CertificateFolder(tmp_path / "certs")
    made.make(["gallery.example", "10.0.0.5"])
    return made


def loaded(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def replace_authority(folder: CertificateFolder, days: float) -> None:
    pair = Authority.make("short", days).pair
    (folder.path / "ca.crt").write_bytes(pair.certificate)
    (folder.path / "ca.key").write_bytes(pair.key)


def handshake(folder: CertificateFolder, host: str, server: str = "server", caller: str = "client") -> str:
    """Shake hands as strictly as Python can, and return the common name of the caller as the server saw it."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    serving, calling = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    serving.verify_mode = ssl.CERT_REQUIRED
    for context, name in ((serving, server), (calling, caller)):
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.load_verify_locations(folder.path / "ca.crt")
        context.load_cert_chain(folder.path / f"{name}.crt", folder.path / f"{name}.key")
    sides = [
        calling.wrap_bio(to_client, to_server, server_hostname=host),
        serving.wrap_bio(to_server, to_client, server_side=True),
    ]
    waiting = list(sides)
    while waiting:
        side = waiting.pop(0)
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            waiting.append(side)
    shown = sides[1].getpeercert()
    assert shown is not None
    return dict(each for part in shown["subject"] for each in part)["commonName"]  # type: ignore[misc]


@pytest.mark.parametrize("host", ["gallery.example", "10.0.0.5", "localhost", "127.0.0.1", "::1", "index"])
def test_the_certificate_of_the_services_is_good_for_their_hosts(folder: CertificateFolder, host: str) -> None:
    assert handshake(folder, host) == "client"


def test_services_call_each_other_with_the_same_certificate(folder: CertificateFolder) -> None:
    assert handshake(folder, "embedder", caller="server") == "server"


def test_other_hosts_and_certificates_of_callers_are_refused(folder: CertificateFolder) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for"):
        handshake(folder, "elsewhere.example")
    folder.add("localhost")  # a caller that has the name of a host
    with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        handshake(folder, "localhost", server="localhost")


def test_keys_are_for_their_owner_only(folder: CertificateFolder) -> None:
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.path.iterdir()}
    assert modes == {
        f"{name}.{kind}": mode for name in ("ca", "server", "client") for kind, mode in (("key", 0o600), ("crt", 0o644))
    }


def test_nothing_is_overwritten_unless_asked(folder: CertificateFolder) -> None:
    before = {file: file.read_bytes() for file in folder.path.iterdir()}
    with pytest.raises(FolderStopped, match=r"ca\.crt exists"):
        folder.make()
    with pytest.raises(FolderStopped, match=r"client\.crt exists"):
        folder.add("client")
    assert {file: file.read_bytes() for file in folder.path.iterdir()} == before
    folder.make(overwrite=True)
    assert all(file.read_bytes() != content for file, content in before.items())


def test_a_renewed_certificate_has_a_new_key_and_the_same_hosts(folder: CertificateFolder) -> None:
    before = {each.name: each for each in folder.certificates()}
    key = (folder.path / "server.key").read_bytes()
    renewed = folder.renew(days=800)
    assert [each.name for each in renewed] == ["client", "server"]
    assert all(each.hosts == before[each.name].hosts for each in renewed)
    assert all(each.expires > datetime.now(UTC) + timedelta(days=799) for each in renewed)
    assert (folder.path / "server.key").read_bytes() != key
    assert handshake(folder, "10.0.0.5") == "client"
    with pytest.raises(FolderStopped, match="no certificate 'laptop'"):
        folder.renew(["laptop"])


def test_what_another_authority_signed_is_not_renewed(folder: CertificateFolder, tmp_path: Path) -> None:
    public = CertificateFolder(tmp_path / "public")
    public.make()
    public.add("web", ["gallery.example"])
    for file in ("web.crt", "web.key"):
        (folder.path / file).write_bytes((public.path / file).read_bytes())
    (folder.path / "former-ca.crt").write_bytes((public.path / "ca.crt").read_bytes())
    (folder.path / "copy-of-ca.crt").write_bytes((folder.path / "ca.crt").read_bytes())
    before = {file: file.read_bytes() for file in folder.path.iterdir()}
    for name in ("web", "former-ca", "copy-of-ca"):
        with pytest.raises(FolderStopped, match=rf"{name}\.crt .* would be lost") as stopped:
            folder.renew(["server", name])
        assert stopped.value.reason == "CERTIFICATE_FOREIGN"
    assert {file: file.read_bytes() for file in folder.path.iterdir()} == before
    assert [each.name for each in folder.renew()] == ["client", "server"]
    left = {file for file in before if file.read_bytes() == before[file]}
    assert {file.name for file in left} == {
        *("ca.crt", "ca.key", "web.crt", "web.key", "former-ca.crt", "copy-of-ca.crt")
    }
    told = CliRunner().invoke(app, ["certs", "renew", "--dir", str(folder.path)])
    assert "copy-of-ca, former-ca, web" in told.stderr


def test_a_new_authority_renews_what_the_one_before_it_signed(folder: CertificateFolder, tmp_path: Path) -> None:
    new = CertificateFolder(tmp_path / "new")
    new.make()
    with (folder.path / "ca.crt").open("ab") as authorities:
        authorities.write((new.path / "ca.crt").read_bytes())
    (folder.path / "ca.key").write_bytes((new.path / "ca.key").read_bytes())
    assert [each.name for each in folder.renew()] == ["client", "server"]
    (folder.path / "ca.crt").write_bytes((new.path / "ca.crt").read_bytes())
    assert handshake(folder, "gallery.example") == "client"


@pytest.mark.parametrize("order", [1, -1])
def test_while_an_authority_is_replaced_the_one_whose_key_signs_is_named(folder: CertificateFolder, order: int) -> None:
    old = (folder.path / "ca.crt").read_bytes()
    folder.make(["gallery.example"], overwrite=True)
    new = (folder.path / "ca.crt").read_bytes()
    (folder.path / "ca.crt").write_bytes(b"".join([old, new][::order]))
    folder.renew()
    assert handshake(folder, "gallery.example") == "client"
    (folder.path / "ca.crt").write_bytes(new)
    assert handshake(folder, "gallery.example") == "client"


@pytest.mark.parametrize("damaged", ["ca.crt", "ca.key"])
@pytest.mark.parametrize("content", ["foreign", "nothing"])
def test_an_authority_that_could_not_be_verified_signs_nothing(
    folder: CertificateFolder, tmp_path: Path, damaged: str, content: str
) -> None:
    foreign = CertificateFolder(tmp_path / "foreign")
    foreign.make()
    (folder.path / damaged).write_bytes((foreign.path / damaged).read_bytes() if content == "foreign" else b"")
    before = {file: file.read_bytes() for file in folder.path.iterdir()}
    for change in (lambda: folder.renew(["server"]), lambda: folder.add("laptop")):
        with pytest.raises(FolderStopped, match=r"ca\.(crt|key)") as stopped:
            change()
        assert stopped.value.reason == "CERTIFICATE_UNUSABLE"
    assert {file: file.read_bytes() for file in folder.path.iterdir()} == before


def test_while_the_key_of_the_authority_is_elsewhere_it_is_asked_for(folder: CertificateFolder) -> None:
    (folder.path / "ca.key").unlink()
    for change in (folder.renew, lambda: folder.add("laptop")):
        with pytest.raises(FolderStopped) as stopped:
            change()
        assert stopped.value.hint.startswith(f"Bring ca.key back to {folder.path} for this command")
    (folder.path / "ca.crt").unlink()
    with pytest.raises(FolderStopped) as stopped:
        folder.renew()
    assert "semsearch certs make" in stopped.value.hint


def test_no_certificate_outlives_its_authority(folder: CertificateFolder) -> None:
    replace_authority(folder, days=30)
    folder.add("laptop", days=60)
    assert loaded(folder.path / "laptop.crt").not_valid_after_utc == loaded(folder.path / "ca.crt").not_valid_after_utc
    folder.add("phone", days=20)
    assert loaded(folder.path / "phone.crt").not_valid_after_utc < datetime.now(UTC) + timedelta(days=21)
    replace_authority(folder, days=-0.001)
    with pytest.raises(FolderStopped, match="expired"):
        folder.add("tablet")


@pytest.mark.parametrize("host", ["https://gallery.example", "gallery.example:50051", "", "a b"])
def test_a_host_has_neither_scheme_nor_port(folder: CertificateFolder, host: str) -> None:
    with pytest.raises(InvalidRequest, match="is not a host"):
        folder.add("other", [host])
    assert not (folder.path / "other.key").exists()


@pytest.mark.parametrize("name", ["ca", "../server", "", ".hidden"])
def test_a_name_is_one_of_a_file_in_the_folder(folder: CertificateFolder, name: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot name a certificate"):
        folder.add(name)


def test_the_command_makes_and_lists_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    made = runner.invoke(app, ["certs", "make", "--host", "gallery.example"])
    assert made.exit_code == 0, made.output
    assert f"export SEMSEARCH_TLS_CERT={tmp_path}/certs/server.crt" in made.stdout
    assert runner.invoke(app, ["certs", "add", "laptop", "--days", "30"]).exit_code == 0
    listed = json.loads(runner.invoke(app, ["certs", "list", "--json"]).stdout)
    assert {each["name"]: bool(each["hosts"]) for each in listed} == {
        "ca": False,
        "client": False,
        "laptop": False,
        "server": True,
    }
    assert loaded(tmp_path / "certs/laptop.crt").not_valid_after_utc < datetime.now(UTC) + timedelta(days=31)
