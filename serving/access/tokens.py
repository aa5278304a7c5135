"""The callers of tokens, from the file of tokens (semsearch/access/v1/token_file.proto).

A token is `semsearch_ID_SECRET`. Its entry is found by its id, which is no secret, and its hash is compared in constant
time. So the time of an answer says nothing about any secret.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf import json_format
from semsearch.access.v1 import token_file_pb2 as pb

from serving.access.errors import TokenExpired, TokenUnknown
from serving.access.identity import Identity
from serving.callers import Caller, Role, is_collection_id

PREFIX = "semsearch_"
MAX_TOKENS = 10_000
MAX_COLLECTIONS = 1_000
_ID = re.compile(r"[0-9a-f]{12}")
_CALLER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ROLES = {pb.ROLE_READ: Role.READ, pb.ROLE_WRITE: Role.WRITE, pb.ROLE_ADMIN: Role.ADMIN}
_NO_TOKEN = bytes(hashlib.sha256().digest_size)


class BadTokenFile(Exception):
    """The file of tokens cannot be used; the message says why."""


@dataclass(frozen=True)
class _Entry:
    identity: Identity
    digest: bytes


class Tokens:
    """The tokens of a file."""

    def __init__(self, entries: Mapping[str, _Entry]) -> None:
        self._entries = entries

    def __len__(self) -> int:
        return len(self._entries)

    @classmethod
    def parse(cls, content: bytes) -> Tokens:
        """Read the content of a file.

        Raises:
            BadTokenFile: It is no such file, or an entry is wrong.
        """
        try:
            file = json_format.Parse(content, pb.TokenFile())
        except (json_format.ParseError, UnicodeDecodeError) as error:
            raise BadTokenFile(f"it is not a token file: {error}") from error
        if len(file.tokens) > MAX_TOKENS:
            raise BadTokenFile(f"it has {len(file.tokens):,} tokens, and may have {MAX_TOKENS:,}")
        entries: dict[str, _Entry] = {}
        for number, token in enumerate(file.tokens):
            if problem := _problem(token):
                raise BadTokenFile(f"the token at tokens[{number}] has {problem}")
            if token.id in entries:
                raise BadTokenFile(f'two tokens have the id "{token.id}"')
            entries[token.id] = _entry(token)
        return cls(entries)

    def identify(self, token: str, now: float) -> Identity:
        """Return whose a token is.

        Raises:
            TokenUnknown: It is none of these tokens.
            TokenExpired: It was one of them.
        """
        entry = self._entries.get(token.removeprefix(PREFIX).partition("_")[0])
        matches = hmac.compare_digest(digest_of(token), entry.digest if entry else _NO_TOKEN)
        if entry is None or not matches:
            raise TokenUnknown
        if (expires := entry.identity.expires) is not None and now >= expires:
            raise TokenExpired(expires)
        return entry.identity


def digest_of(token: str) -> bytes:
    """Return the hash of a token."""
    return hashlib.sha256(token.encode()).digest()


def _entry(token: pb.AccessToken) -> _Entry:
    expires = token.expire_time.ToNanoseconds() / 1e9 if token.HasField("expire_time") else None
    collections = frozenset(token.collections) or None
    identity = Identity(Caller(token.caller, _ROLES[token.role], collections), expires)
    return _Entry(identity, bytes.fromhex(token.sha256))


def _problem(token: pb.AccessToken) -> str:
    if not _ID.fullmatch(token.id):
        return "an id that is not 12 lower-case hexadecimal digits"
    if not _CALLER.fullmatch(token.caller):
        return "a caller that is not 1 to 63 letters, digits, dots, hyphens and underscores"
    if token.role not in _ROLES:
        return "no role; a role is ROLE_READ, ROLE_WRITE or ROLE_ADMIN"
    if not _SHA256.fullmatch(token.sha256):
        return "a sha256 that is not 64 lower-case hexadecimal digits"
    if len(token.collections) > MAX_COLLECTIONS:
        return f"more than {MAX_COLLECTIONS:,} collections"
    if not all(map(is_collection_id, token.collections)):
        return "a collection whose id is not 1 to 63 lower-case letters, digits and hyphens that begin with a letter"
    return ""
