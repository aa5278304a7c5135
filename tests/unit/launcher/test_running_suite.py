"""A data folder has one suite at a time, and says where it listens."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from launcher.errors import AlreadyRunning, DataNotWritable
from launcher.running_suite import FILE, claimed, write_addresses
from launcher.services import Service
from serving.tls_settings import TlsSettings


def services() -> list[Service]:
    ports = {"embedder": 6002, "index": 6003, "gateway": 6001}
    http = {"gateway": 6080}
    return [Service(name, "", "0.0.0.0", port, -1, Path("var"), http.get(name, -1)) for name, port in ports.items()]


def test_the_file_has_every_address_and_the_process_and_goes_at_the_end(tmp_path: Path) -> None:
    data = tmp_path / "var"
    with claimed(data):
        write_addresses(data, services())
        assert json.loads((data / FILE).read_text()) == {
            "gateway": "127.0.0.1:6001", "embedder": "127.0.0.1:6002", "index": "127.0.0.1:6003",
            "http": "http://127.0.0.1:6080", "pid": os.getpid(),
        }  # fmt: skip
    assert not (data / FILE).exists()


def test_the_file_names_the_certificates(tmp_path: Path) -> None:
    tls = TlsSettings(tls_cert="server.crt", tls_key="/keys/server.key")  # type: ignore[call-arg]
    encrypted = [replace(service, tls=tls, http_is_encrypted=True) for service in services()]
    with claimed(tmp_path):
        write_addresses(tmp_path, encrypted)
        written = json.loads((tmp_path / FILE).read_text())
    assert written["tls"] == {"certificate": str(Path("server.crt").absolute()), "key": "/keys/server.key"}
    assert written["http"] == "https://127.0.0.1:6080"


def test_the_file_has_the_other_gateway_processes(tmp_path: Path) -> None:
    *others, gateway = services()
    with claimed(tmp_path):
        write_addresses(tmp_path, [*others, replace(gateway, processes=2, metrics_port=9051)])
        assert json.loads((tmp_path / FILE).read_text())["processes"] == {
            "gateway-2": {"address": "127.0.0.1:6005", "metrics_port": 9052}
        }


def test_a_file_left_by_a_killed_launcher_is_replaced_even_if_its_process_id_is_used_again(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(json.dumps({"gateway": "127.0.0.1:7001", "pid": os.getppid()}))
    with claimed(tmp_path):
        write_addresses(tmp_path, services())
        assert json.loads((tmp_path / FILE).read_text())["pid"] == os.getpid()


def test_a_second_suite_is_refused_and_told_where_the_first_is(tmp_path: Path) -> None:
    with claimed(tmp_path):
        write_addresses(tmp_path, services())
        with pytest.raises(AlreadyRunning, match=rf"127\.0\.0\.1:6001 \(process {os.getpid()}\)"), claimed(tmp_path):
            pass
        assert (tmp_path / FILE).exists()


def test_a_folder_that_cannot_be_made_is_an_error_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataNotWritable, match="SEMSEARCH_DATA"), claimed(tmp_path / "file"):
        pass
