"""Tokens of an OpenID provider."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Event, Thread

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from structlog.testing import capture_logs

from serving.access import key_sets
from serving.access.errors import NoRole, TokenExpired, TokenUnknown, TooManyCollections
from serving.access.key_sets import BadKeySet, KeySet, key_set, parse
from serving.access.oidc import OidcTokens
from serving.access.tokens import MAX_COLLECTIONS
from serving.callers import Caller, Role
from serving.watched_file import UnusableFile
from tests.unit.serving.access.provider import AUDIENCE, ISSUER, Provider, refused_tokens

CLAIMS = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "roles": "semsearch:read"}


def tokens(keys: KeySet, role_claim: tuple[str, ...] = ("roles",), collections: tuple[str, ...] = ()) -> OidcTokens:
    return OidcTokens(ISSUER, AUDIENCE, ["ES256"], role_claim, "semsearch:", collections, keys)


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def file(provider: Provider, tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    path.write_bytes(provider.key_set())
    return path


async def test_claims_give_a_caller_its_name_role_and_collections(provider: Provider, file: Path) -> None:
    keys = key_set(str(file), ["ES256"])
    token = provider.token(
        sub="a b", realm={"roles": ["semsearch:write", "other", "semsearch:read"]}, places="trip holiday"
    )
    assert (await tokens(keys, ("realm", "roles")).identify(token)).caller == Caller("oidc:a_b", Role.WRITE)
    found = await tokens(keys, ("realm", "roles"), ("places",)).identify(token)
    assert found.caller.collections == {"trip", "holiday"}
    # Where collections are a matter of the provider, a token that has none is for none.
    assert (await tokens(keys, collections=("places",)).identify(provider.token())).caller.collections == frozenset()


async def test_a_claim_with_more_collections_than_a_token_may_have_is_refused(provider: Provider, file: Path) -> None:
    oidc = tokens(key_set(str(file), ["ES256"]), collections=("places",))
    names = [f"trip-{number}" for number in range(MAX_COLLECTIONS)]
    # What cannot be a collection does not count: a claim may name groups of other programs too.
    found = await oidc.identify(provider.token(places=[*names, "/staff", "Trip", "x" * 64, ""]))
    assert found.caller.collections == {*names}
    with pytest.raises(TooManyCollections, match="1,001 collections"):
        await oidc.identify(provider.token(places=[*names, "one-more"]))


async def test_only_the_issuers_own_tokens_for_this_suite_are_accepted(provider: Provider, file: Path) -> None:
    oidc = tokens(key_set(str(file), ["ES256"]))
    for wrong, token in refused_tokens(provider).items():
        with pytest.raises(TokenUnknown):
            assert await oidc.identify(token) is None, wrong
    with pytest.raises(TokenUnknown):
        await oidc.identify("")
    with pytest.raises(TokenExpired):
        await oidc.identify(provider.token(exp=time.time() - 60))
    with pytest.raises(NoRole, match="semsearch:read"):
        await oidc.identify(provider.token(roles=["reader"]))
    assert (await oidc.identify(provider.token())).caller.name == "oidc:ann"


async def test_keys_for_other_algorithms_do_not_count(provider: Provider) -> None:
    assert [*parse(provider.key_set(), ["ES256"])] == ["0"]
    deep = b"[" * 100_000
    for content in (provider.key_set(), b"", b"[]", b'{"keys": 1}', b'{"keys": []}', b'{"keys": [1]}', deep):
        with pytest.raises(BadKeySet):
            parse(content, ["RS256"])


@pytest.mark.parametrize("algorithm", ["RS256", "RS512", "PS256", "PS384"])
async def test_an_rsa_key_that_names_no_algorithm_is_for_each_that_is_accepted(tmp_path: Path, algorithm: str) -> None:
    key = rsa.generate_private_key(65_537, 2_048)
    listed = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [{**listed, "kid": "any"}, {**listed, "kid": "one", "alg": "RS384"}]}))

    async def is_accepted(signed_with: str, key_id: str, accepted: list[str]) -> bool:
        keys = key_set(str(path), accepted)
        token = jwt.encode(CLAIMS | {"exp": time.time() + 60}, key, signed_with, {"kid": key_id})
        try:
            return bool(await replace(tokens(keys), algorithms=accepted).identify(token))
        except TokenUnknown:
            return False

    assert await is_accepted(algorithm, "any", [algorithm])
    assert await is_accepted(algorithm, "any", ["ES256", "RS384", algorithm])
    assert not await is_accepted(algorithm, "any", ["RS384"])
    # A key that names its algorithm is for no other.
    assert await is_accepted("RS384", "one", [algorithm, "RS384"])
    assert not await is_accepted(algorithm, "one", [algorithm, "RS384"])


def test_a_start_needs_a_file_of_keys(tmp_path: Path) -> None:
    with pytest.raises(UnusableFile):
        key_set(str(tmp_path / "none.json"), ["ES256"])


@pytest.fixture
def address(provider: Provider) -> Iterator[str]:
    closed = Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = provider.key_set()
            self.send_response(404 if self.path == "/none" else 200)
            if self.path == "/chunks":
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for start in range(0, len(content), 100):
                    chunk = content[start : start + 100]
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                self.wfile.write(b"0\r\n\r\n")
                return
            self.send_header("Content-Length", str(2**20 if self.path == "/dripping" else len(content)))
            self.end_headers()
            if self.path == "/dripping":
                with suppress(ConnectionError):
                    while not closed.wait(0.01):
                        self.wfile.write(b" ")
                return
            self.wfile.write(content[:-10] if self.path == "/cut-off" else content)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/keys"
    closed.set()
    server.shutdown()
    thread.join()
    server.server_close()


async def test_a_new_key_is_fetched_when_a_token_names_it(
    provider: Provider, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    oidc = tokens(key_set(address, ["ES256"]))
    assert await oidc.identify(provider.token())
    provider.new_key()
    with pytest.raises(TokenUnknown):  # it was fetched a moment ago
        await oidc.identify(provider.token())
    monkeypatch.setattr(key_sets, "_LEAST_SECONDS", 0.0)
    assert await oidc.identify(provider.token())


async def test_a_provider_that_is_away_is_logged_once_and_its_keys_stay(
    provider: Provider, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = key_set(address, ["ES256"])
    assert await keys.find("0")
    monkeypatch.setattr(key_sets, "_LEAST_SECONDS", 0.0)
    monkeypatch.setattr(key_sets, "_REFRESH_SECONDS", 0.0)
    with capture_logs() as logs, suppress(TimeoutError):
        monkeypatch.setattr(key_sets, "_fetch", _away)
        async with asyncio.timeout(0.05):
            await keys.keep_current()
    assert len(logs) == 1
    assert await keys.find("0")


async def test_an_answer_of_the_provider_that_is_cut_off_gives_no_keys(address: str) -> None:
    with capture_logs() as logs:
        assert await key_set(address.replace("/keys", "/cut-off"), ["ES256"]).find("0") is None
    assert "cannot be fetched" in logs[0]["event"]


async def test_a_password_in_the_address_of_the_keys_is_not_logged(address: str) -> None:
    with capture_logs() as logs:
        none = address.replace("/keys", "/none")
        assert await key_set(none.replace("://", "://me:hunter2@"), ["ES256"]).find("0") is None
        assert await key_set("https://me:hunter2@", ["ES256"]).find("0") is None
    assert [each["url"] for each in logs] == [none, "https://"]
    assert "answered 404" in logs[0]["problem"]
    assert "hunter2" not in str(logs)


async def test_keys_that_arrive_in_several_chunks_are_whole(provider: Provider, address: str) -> None:
    provider.new_key()
    keys = key_set(address.replace("/keys", "/chunks"), ["ES256"])
    assert await keys.find("1")
    assert [*keys.current] == ["0", "1"]


async def test_a_provider_whose_answer_drips_is_not_read_for_ever(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_sets, "_DEADLINE_SECONDS", 0.2)
    with capture_logs() as logs:
        async with asyncio.timeout(10):
            assert await key_set(address.replace("/keys", "/dripping"), ["ES256"]).find("0") is None
    assert "within 0.2 s" in logs[0]["problem"]


async def test_a_provider_with_too_many_bytes_gives_no_keys(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_sets, "_MOST_BYTES", 100)
    with capture_logs() as logs:
        assert await key_set(address, ["ES256"]).find("0") is None
    assert "more than 100 bytes" in logs[0]["problem"]


def _away(_: str) -> bytes:
    raise BadKeySet("the provider answered 503")
