"""What gateways share: the key of page tokens, the target of a switch, requested maps."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import DependencyUnavailable
from gateway.maps.map_requests import RECORD, KnownMaps, MapRequests
from gateway.page_key import PageKey
from gateway.readiness import Readiness
from gateway.switching.switch_state import SwitchState
from index_service.api.translate.coordination import MAX_VALUE_BYTES
from tests.unit.gateway.doubles import MemoryRecords


async def test_all_gateways_get_the_key_of_the_first(tmp_path: Path) -> None:
    records = MemoryRecords()
    keys = []
    for name in "ab":
        former = tmp_path / name
        former.write_bytes(name.encode() * 32)
        key = PageKey(records, former)
        with pytest.raises(DependencyUnavailable):
            key.get()
        await key.load(Readiness())
        keys.append(key.get())
    assert keys == [b"a" * 32] * 2


@pytest.mark.parametrize("content", [b"", b"short"])
async def test_a_bad_key_is_not_taken_over(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    key = PageKey(MemoryRecords(), tmp_path / "key")
    await key.load(Readiness())
    assert len(key.get()) == 32


async def test_a_switch_of_before_is_taken_over_once(tmp_path: Path) -> None:
    records, former = MemoryRecords(), tmp_path / "model_switch"
    former.write_text("m@sha256:1\n")
    assert await SwitchState(records, former).read() == "m@sha256:1"
    assert not former.exists()
    await SwitchState(records, former).clear()
    assert await SwitchState(records, former).read() == ""
    former.write_text("m@sha256:2\n")
    await SwitchState(records).write("m@sha256:3")
    assert await SwitchState(records, former).read() == "m@sha256:3", "what all share is newer"


async def test_requested_maps_of_before_are_taken_over(tmp_path: Path) -> None:
    records = MemoryRecords()
    former = tmp_path / "cats.wanted"
    former.touch()
    await MapRequests(records, tmp_path / "elsewhere").write(KnownMaps(["dogs"], ["images-birds"]))
    for _ in range(2):
        assert await MapRequests(records, tmp_path).read() == KnownMaps(["dogs", "cats"], ["images-birds"])
        assert not former.exists()


async def test_the_record_of_maps_is_never_too_large(tmp_path: Path) -> None:
    records = MemoryRecords()
    requests = MapRequests(records, tmp_path)
    await requests.write(KnownMaps([], [f"{number:0128}" for number in range(10_000)]))
    assert len(records.values[RECORD]) < MAX_VALUE_BYTES
    assert (await requests.read()).computed[-1] == f"{9_999:0128}"
