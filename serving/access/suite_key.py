"""The key that the services of a suite share, and the identities that they sign with it.

A call between services carries a JWT (HS256) as its bearer token. It names the caller whose call it serves. So a
service distinguishes calls of the suite from all others, and knows the caller behind each.

The file has one key a line, each of at least 32 characters: the first one signs, and each is accepted. To replace a
key, add the new one below the old one, on every machine; then put it first; then remove the old one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import jwt

from serving.access.errors import TokenUnknown
from serving.callers import Caller, Role

TYPE = "semsearch-call"
MIN_KEY_CHARACTERS = 32
_ALGORITHM = "HS256"
# How every identity begins: the header of all is the same. So a token of another kind is not parsed to find out.
IDENTITY_PREFIX = jwt.encode({}, "-" * MIN_KEY_CHARACTERS, _ALGORITHM, {"typ": TYPE}).partition(".")[0] + "."
_ISSUER = "semsearch"
# An identity that was overheard is of no use after this time. The clocks of the suite's machines may differ by the
# leeway, and may jump by as much.
_VALID_SECONDS = 300
_LEEWAY_SECONDS = 300
# A signed identity is used for this long: signing costs as much as a small call.
_REUSED_SECONDS = 60
_MOST_REMEMBERED = 4_096
# A caller of 1,000 collections has identities of 88 kB, a new one each minute; few of those are remembered.
_MANY_COLLECTIONS = 100
_LONG_CHARACTERS = 8_192
_MOST_LONG_REMEMBERED = 64
_REQUIRED = ("exp", "iss", "sub", "role")


class BadSuiteKey(Exception):
    """The file of keys cannot be used; the message says why."""


class SuiteKey:
    """The keys of a suite."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys
        self._signed = lru_cache(_MOST_REMEMBERED)(self._sign)
        self._verified = lru_cache(_MOST_REMEMBERED)(self._verify)
        self._signed_long = lru_cache(_MOST_LONG_REMEMBERED)(self._sign)
        self._verified_long = lru_cache(_MOST_LONG_REMEMBERED)(self._verify)

    @classmethod
    def parse(cls, content: bytes) -> SuiteKey:
        """Read the content of a file.

        Raises:
            BadSuiteKey: It has no key, or one that is too short.
        """
        keys = [line.strip() for line in content.decode(errors="replace").splitlines() if line.strip()]
        if not keys:
            raise BadSuiteKey("it has no key")
        if any(len(key) < MIN_KEY_CHARACTERS for key in keys):
            raise BadSuiteKey(f"it has a key of fewer than {MIN_KEY_CHARACTERS} characters")
        return cls(keys)

    def sign(self, caller: Caller) -> str:
        """Return an identity: a call with it is made on behalf of `caller`."""
        signed = self._signed_long if len(caller.collections or ()) > _MANY_COLLECTIONS else self._signed
        return signed(caller, int(time.time()) // _REUSED_SECONDS)

    def caller(self, identity: str, now: float) -> Caller:
        """Return the caller that an identity names.

        Raises:
            TokenUnknown: It was not signed with one of these keys, or long ago.
        """
        verified = self._verified_long if len(identity) > _LONG_CHARACTERS else self._verified
        caller, expires = verified(identity)
        # Neither old nor from the future, where a key that was overheard could have been used to keep it.
        if not now - _LEEWAY_SECONDS <= expires <= now + _VALID_SECONDS + _REUSED_SECONDS + _LEEWAY_SECONDS:
            raise TokenUnknown
        return caller

    def _sign(self, caller: Caller, period: int) -> str:
        claims: dict[str, Any] = {
            "iss": _ISSUER,
            "sub": caller.name,
            "role": caller.role.name,
            "exp": (period + 1) * _REUSED_SECONDS + _VALID_SECONDS,
        }
        if caller.collections is not None:
            claims["collections"] = sorted(caller.collections)
        return jwt.encode(claims, self._keys[0], _ALGORITHM, {"typ": TYPE})

    def _verify(self, identity: str) -> tuple[Caller, int]:
        options: Any = {"require": _REQUIRED, "verify_exp": False}  # the caller of this method checks it
        for key in self._keys:
            try:
                claims = jwt.decode(identity, key, [_ALGORITHM], options, issuer=_ISSUER)
            except jwt.InvalidSignatureError:
                continue
            except jwt.InvalidTokenError:
                break
            collections = claims.get("collections")
            caller = Caller(
                claims["sub"], Role[claims["role"]], None if collections is None else frozenset(collections)
            )
            return caller, int(claims["exp"])
        raise TokenUnknown
