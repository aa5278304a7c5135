from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.settings import GatewaySettings
from serving import live_settings, watched_file
from serving.callers import Caller, Role
from serving.live_settings import Live, LiveSettings, LiveSettingsRefused
from serving.quotas.quota import Quota
from serving.settings import load_settings

DEADLINE = 10.0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "live.toml"


def opened(file: Path, text: str) -> LiveSettings[GatewaySettings]:
    file.write_text(text)
    return LiveSettings(load_settings(GatewaySettings, ["--live-settings", str(file), "--read-quota", "1/s"]))


def test_the_file_comes_before_flags_and_has_tables_of_roles_and_callers(file: Path) -> None:
    live = opened(
        file,
        """
        log_level = "debug"
        [gateway]
        write_quota = "2/s"
        [gateway.roles.read]
        read_quota = "3/s"
        max_calls_per_caller = 7
        [gateway.callers."ann.b"]
        embed_quota = "unlimited"
        [index]
        log_level = "error"
        anything = 1
        """,
    )
    now = live.now
    assert (now.settings.log_level, now.settings.read_quota, now.settings.write_quota) == ("debug", "1/s", "2/s")
    ann = now.allowances.of(Caller("ann.b", Role.READ))
    assert (ann.read, ann.write, ann.calls) == (Quota.parse("3/s"), Quota.parse("2/s"), 7)
    assert now.allowances.of(Caller("bob", Role.WRITE)).calls == 1_000


def test_without_a_file_the_settings_count() -> None:
    now = LiveSettings(load_settings(GatewaySettings, ["--embed-quota", "5/day"])).now
    assert now.allowances.everyone.embed == Quota(per_day=5)
    assert now.allowances.are_daily


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("log_level = ", "are not TOML"),
        ("deep = " + "[" * 100_000, "are not TOML"),
        ('log_levle = "info"', "Did you mean log_level?"),
        ("port = 1", '"port" is no setting that can change'),
        ('read_quota = "1/s"', "no setting that can change here"),
        ('log_level = "loud"', "live setting log_level is wrong"),
        ('[gateway]\nread_quota = "often"', "is not a quota"),
        ("gateway = 1", "must be a table"),
        ("[gateway.roles.owner]\n", 'a role "owner"'),
        ("[gateway.callers.ann]\nrate = 1", "gateway.callers.ann.rate"),
        ("[gateway]\nmax_calls_per_caller = -1", "max_calls_per_caller"),
    ],
)
def test_what_is_wrong_is_named(file: Path, text: str, sentence: str) -> None:
    with pytest.raises(LiveSettingsRefused, match=sentence.replace("?", r"\?")):
        opened(file, text)


def test_a_missing_file_stops_the_start(file: Path) -> None:
    with pytest.raises(LiveSettingsRefused, match="cannot be read: No such file"):
        LiveSettings(load_settings(GatewaySettings, ["--live-settings", str(file)]))


async def test_a_change_counts_soon_and_one_that_is_wrong_counts_for_nothing(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched_file, "POLL_SECONDS", 0.01)
    live = opened(file, 'log_level = "info"')
    seen: list[str] = []

    def note(now: Live[GatewaySettings]) -> None:
        seen.append(now.settings.log_level)

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not condition():  # noqa: ASYNC110 — nothing else shows it
                await asyncio.sleep(0.01)

    def write(text: str) -> None:
        file.write_text(text)

    def replace(text: str) -> None:
        file.unlink()
        file.with_suffix(".new").write_text(text)
        file.with_suffix(".new").rename(file)

    live.listen(note)
    assert seen.pop() == "info"
    async with live.followed():
        write('log_level = "debug"')
        await until(lambda: seen == ["debug"])
        write('log_level = "loud"')
        await until(lambda: live_settings.REFUSED._value.get() == 1)
        assert live.now.settings.log_level == "debug"
        replace('log_level = "warning"')
        await until(lambda: seen == ["debug", "warning"])
        await until(lambda: live_settings.REFUSED._value.get() == 0)
        write("")
        await until(lambda: seen == ["debug", "warning", "info"])
