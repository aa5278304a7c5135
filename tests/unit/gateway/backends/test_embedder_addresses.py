from __future__ import annotations

import pytest

from gateway.backends.embedder_addresses import EmbedderAddresses


@pytest.mark.parametrize(
    ("text", "target", "several"),
    [
        ("127.0.0.1:50052", "127.0.0.1:50052", False),
        ("embedder:50052", "embedder:50052", False),
        ("dns:///embedders.example:50052", "dns:///embedders.example:50052", True),
        ("10.0.0.1:50052, 10.0.0.2:50052", "ipv4:10.0.0.1:50052,10.0.0.2:50052", True),
        ("[::1]:50052,[::2]:50052", "ipv6:[::1]:50052,[::2]:50052", True),
    ],
)
def test_a_setting_is_one_address_a_name_of_all_or_a_list(text: str, target: str, several: bool) -> None:
    addresses = EmbedderAddresses.parse(text)
    assert (addresses.target, addresses.several) == (target, several)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("embedder", "embedder is not an address"),
        ("dns:///", "an empty text is not an address"),
        ("10.0.0.1:70000", "10.0.0.1:70000 is not an address"),
        ("one:50052,two:50052", "a list has IP addresses"),
        ("10.0.0.1:50052,[::1]:50052", "a list has IP addresses of one version"),
        (",", "an empty text is not an address"),
    ],
)
def test_another_setting_is_refused_and_the_message_says_why(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem.replace("[", r"\[")):
        EmbedderAddresses.parse(text)


async def test_each_embedder_has_an_address() -> None:
    assert await EmbedderAddresses.parse("10.0.0.1:1,10.0.0.2:1").look_up() == {"10.0.0.1:1", "10.0.0.2:1"}
    assert await EmbedderAddresses.parse("embedder:50052").look_up() == {"embedder:50052"}
    assert "127.0.0.1:50052" in await EmbedderAddresses.parse("dns:///localhost:50052").look_up()
