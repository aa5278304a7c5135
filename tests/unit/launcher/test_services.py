"""What the Procfile lists, with the settings that the services themselves read."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from launcher.errors import BadProcfile, BadSetting
from launcher.ports import ports_of
from launcher.services import Service, processes_of, read_services, with_backends, with_own_ports

PYTHON = sys.executable
LINES = f"index: exec {PYTHON} -m index_service\ngateway: exec {PYTHON} -m gateway\n"


def environment(**settings: str) -> dict[str, str]:
    own = {name: text for name, text in os.environ.items() if not name.startswith("SEMSEARCH_")}
    return {**own, **settings}


@pytest.fixture
def procfile(tmp_path: Path) -> Path:
    file = tmp_path / "Procfile"
    file.write_text(LINES, encoding="utf-8")
    return file


def service(name: str, host: str = "127.0.0.1", port: int = 1, metrics_port: int = -1) -> Service:
    return Service(name, "", host, port, metrics_port, Path("var"))


def test_services_come_in_the_procfiles_order_with_settings(procfile: Path) -> None:
    given = environment(SEMSEARCH_INDEX_PORT="6000", SEMSEARCH_DATA="elsewhere", SEMSEARCH_DRAIN_SECONDS="7")
    index, gateway = read_services(procfile, given)
    assert gateway.access is None
    command = f"exec {PYTHON} -m index_service"
    assert index == Service("index", command, "127.0.0.1", 6000, 9053, Path("elsewhere"), drain_seconds=7)
    assert (gateway.name, gateway.port, gateway.metrics_port) == ("gateway", 50051, 9051)


def test_the_suites_key_lies_beside_its_tokens(procfile: Path, tmp_path: Path) -> None:
    tokens, key = tmp_path / "tokens.json", tmp_path / "suite.key"
    tokens.write_text("{}", encoding="utf-8")
    key.write_text("k" * 64, encoding="utf-8")
    gateway = read_services(procfile, environment(SEMSEARCH_TOKENS=str(tokens)))[1]
    assert gateway.access is not None
    assert gateway.access.suite_key_file == key


def test_a_file_that_a_setting_names_and_that_is_missing_is_reported_once(procfile: Path, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.json"
    with pytest.raises(BadSetting) as refused:
        read_services(procfile, environment(SEMSEARCH_TOKENS=str(tokens)))
    assert str(refused.value).startswith(f"The setting SEMSEARCH_TOKENS (--tokens) is wrong: {tokens} does not exist.")
    assert "\n" not in str(refused.value)


def test_flags_in_the_procfile_count(procfile: Path) -> None:
    procfile.write_text(
        LINES.replace("index_service", "index_service --port=6001 --host '0.0.0.0' --insecure"), encoding="utf-8"
    )
    index = read_services(procfile, environment(SEMSEARCH_INDEX_PORT="6000"))[0]
    assert (index.port, index.host, index.address) == (6001, "0.0.0.0", "127.0.0.1:6001")


def test_a_bad_setting_is_reported_once_in_the_services_words(procfile: Path) -> None:
    with pytest.raises(BadSetting) as refused:
        read_services(procfile, environment(SEMSEARCH_DATTA="x"))
    assert str(refused.value) == "There is no setting SEMSEARCH_DATTA. Did you mean SEMSEARCH_DATA? `--help` lists all."
    assert refused.value.exit_status == 2


def test_a_setting_of_one_service_alone_is_found_too(procfile: Path) -> None:
    with pytest.raises(BadSetting, match="SEMSEARCH_GATEWAY_METRICS_PORT"):
        read_services(procfile, environment(SEMSEARCH_GATEWAY_METRICS_PORT="many"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"index: exec {PYTHON} -m index_service\n", "gateway"),
        (LINES + "web: exec nginx\n", "web"),
        ("", "gateway"),
    ],
)
def test_a_procfile_that_cannot_do_is_refused(procfile: Path, text: str, problem: str) -> None:
    procfile.write_text(text, encoding="utf-8")
    with pytest.raises(BadProcfile, match=problem):
        read_services(procfile, environment())


def test_a_missing_procfile_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(BadProcfile, match="repository's root"):
        read_services(tmp_path / "Procfile", environment())


def test_the_gateway_learns_where_the_others_listen() -> None:
    environment = with_backends({"PATH": "/bin"}, [service("index", port=6000), service("gateway")])
    assert environment == {"PATH": "/bin", "SEMSEARCH_GATEWAY_INDEX": "127.0.0.1:6000"}


def test_an_address_that_is_set_stays_and_an_empty_one_does_not() -> None:
    services = [service("index", port=6000), service("embedder", port=6001), service("gateway")]
    environment = with_backends(
        {"SEMSEARCH_GATEWAY_INDEX": "dns:///index:1", "SEMSEARCH_GATEWAY_EMBEDDER": ""}, services
    )
    assert environment["SEMSEARCH_GATEWAY_INDEX"] == "dns:///index:1"
    assert environment["SEMSEARCH_GATEWAY_EMBEDDER"] == "127.0.0.1:6001"


@pytest.mark.parametrize(
    ("host", "metrics_port", "url"),
    [("0.0.0.0", 9053, "http://127.0.0.1:9053/metrics"), ("::", 9053, "http://[::1]:9053/metrics"), ("::", -1, None)],
)
def test_a_service_on_every_address_is_reached_on_this_machine(host: str, metrics_port: int, url: str | None) -> None:
    assert service("index", host, 1, metrics_port).metrics_url == url


def test_several_gateway_processes_share_a_port_and_have_others(procfile: Path) -> None:
    services = read_services(procfile, environment(SEMSEARCH_GATEWAY_PROCESSES="3"))
    processes = processes_of(services[1], services)
    assert [(each.name, each.port, each.own_port, each.metrics_port) for each in processes] == [
        ("gateway", 50051, 50054, 9051),
        ("gateway-2", 50051, 50055, 9054),
        ("gateway-3", 50051, 50056, 9055),
    ]
    assert [each.own_address for each in processes][1:] == ["127.0.0.1:50055", "127.0.0.1:50056"]
    assert {port.number for port in ports_of(services)} == {
        50051,
        50053,
        8080,
        9051,
        9053,
        *range(50054, 50057),
        9054,
        9055,
    }
    assert with_own_ports({"PATH": "/bin"}, processes[1]) == {
        "PATH": "/bin",
        "SEMSEARCH_GATEWAY_OWN_PORT": "50055",
        "SEMSEARCH_GATEWAY_METRICS_PORT": "9054",
    }


def test_one_gateway_process_is_the_service_itself(procfile: Path) -> None:
    services = read_services(procfile, environment())
    assert processes_of(services[1], services) == [services[1]]
    assert with_own_ports({"PATH": "/bin"}, services[1]) == {"PATH": "/bin"}
    assert services[1].own_address == "127.0.0.1:50051"
