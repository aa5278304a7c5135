"""The public keys of an OpenID provider (a JWK Set, RFC 7517), from a file or from its address.

An address is fetched at the start, every few minutes, and once more when a token names a key that is not among them,
but no more often than every ten seconds. If that fails, the last keys stay in use.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import jwt
import requests
import structlog
from typing_extensions import override
from urllib3.exceptions import HTTPError

from serving.url_secrets import without_secrets
from serving.watched_file import WatchedFile

_REFRESH_SECONDS = 300.0
_LEAST_SECONDS = 10.0
# Of a connection, and of each piece of an answer.
_TIMEOUT_SECONDS = 5.0
# Of an answer as a whole.
_DEADLINE_SECONDS = 10.0
_MOST_BYTES = 2**20
_PIECE_BYTES = 64 * 2**10

log = structlog.get_logger(__name__)


class BadKeySet(Exception):
    """The keys cannot be used; the message says why."""


# A key for each algorithm that it may be used with, and those by the keys' ids.
Key = Mapping[str, jwt.PyJWK]
Keys = Mapping[str, Key]


class KeySet(Protocol):
    """Keys by their ids."""

    @property
    def current(self) -> Keys:
        """The keys as they are now."""
        ...

    async def find(self, key_id: str) -> Key | None:
        """Return a key, or None if the provider has none with that id."""
        ...

    async def keep_current(self) -> None:
        """Follow changes of the keys; run until cancelled."""
        ...


def key_set(place: str, algorithms: Sequence[str]) -> KeySet:
    """Return the keys at a place, an https address or a file; only those for one of the `algorithms` count.

    Raises:
        UnusableFile: The file cannot be read or is no key set.
    """
    return _Fetched(place, algorithms) if "://" in place else _OfFile(Path(place), algorithms)


def parse(content: bytes, algorithms: Sequence[str]) -> Keys:
    """Read a JWK Set. A key that is not for signatures, or for other algorithms only, is left out.

    Raises:
        BadKeySet: It is none, or has no key for one of the algorithms.
    """
    try:
        listed = json.loads(content)["keys"]
        keys: dict[str, dict[str, jwt.PyJWK]] = {}
        for each in listed:
            for key in _usable(each, algorithms):
                keys.setdefault(str(each.get("kid", "")), {})[key.algorithm_name] = key
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadKeySet("it is not a JWK Set, a JSON object with `keys`") from error
    if not keys:
        raise BadKeySet(f"it has no key for {', '.join(algorithms)}")
    return keys


def _usable(listed: Any, algorithms: Sequence[str]) -> Iterator[jwt.PyJWK]:
    """Yield a key of a JWK Set for each of the algorithms that it may be used with."""
    if listed.get("use", "sig") != "sig":
        return
    names: Sequence[str | None] = [None]  # the key's own, or the one that its curve has
    if listed.get("kty") == "RSA" and not listed.get("alg"):
        names = [each for each in algorithms if each.startswith(("RS", "PS"))]
    for name in names:
        try:
            key = jwt.PyJWK(listed, name)
        except jwt.PyJWTError:  # of a kind that is unknown here
            return
        if key.algorithm_name in algorithms:
            yield key


class _OfFile(KeySet):
    def __init__(self, path: Path, algorithms: Sequence[str]) -> None:
        self._file = WatchedFile(path, lambda content: parse(content, algorithms), BadKeySet)

    @property
    @override
    def current(self) -> Keys:
        return self._file.content

    @override
    async def find(self, key_id: str) -> Key | None:
        return self.current.get(key_id)

    @override
    async def keep_current(self) -> None:
        await self._file.keep_current()


class _Fetched(KeySet):
    def __init__(self, url: str, algorithms: Sequence[str]) -> None:
        self._url = url
        self._algorithms = algorithms
        self._keys: Keys = {}
        self._fetched_at = -_LEAST_SECONDS
        self._fetching = asyncio.Lock()
        self._problem = ""

    @property
    @override
    def current(self) -> Keys:
        return self._keys

    @override
    async def find(self, key_id: str) -> Key | None:
        if key_id not in self._keys:
            await self._refresh(_LEAST_SECONDS)
        return self._keys.get(key_id)

    @override
    async def keep_current(self) -> None:
        while True:
            await self._refresh(_REFRESH_SECONDS)
            await asyncio.sleep(_LEAST_SECONDS)

    async def _refresh(self, oldest_seconds: float) -> None:
        """Fetch the keys, unless that was tried within `oldest_seconds`; log once what is wrong."""
        async with self._fetching:
            if time.monotonic() - self._fetched_at < oldest_seconds:
                return
            self._fetched_at = time.monotonic()
            try:
                self._keys = parse(await asyncio.to_thread(_fetch, self._url), self._algorithms)
                self._problem = ""
            except (BadKeySet, requests.RequestException, HTTPError) as error:
                if (problem := without_secrets(str(error))) != self._problem:
                    self._problem = problem
                    url = without_secrets(self._url)
                    log.warning("the OpenID provider's keys cannot be fetched", url=url, problem=problem)


def _fetch(url: str) -> bytes:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    with requests.get(url, timeout=_TIMEOUT_SECONDS, allow_redirects=False, stream=True) as response:
        if response.status_code != requests.codes.ok:
            raise BadKeySet(f"the provider answered {response.status_code}")
        content = bytearray()
        # One piece at a time, as it arrives: what waits for a full buffer would wait for as long as bytes drip in.
        while piece := response.raw.read1(_PIECE_BYTES, decode_content=True):
            content += piece
            if len(content) > _MOST_BYTES:
                raise BadKeySet(f"they have more than {_MOST_BYTES:,} bytes")
            if time.monotonic() > deadline:
                raise BadKeySet(f"they did not arrive within {_DEADLINE_SECONDS:g} s")
    return bytes(content)
