"""Pagination by AIP-158: signed tokens, each bound to the request that it continues.

A token holds a cursor (whatever the service needs to continue) and a digest of the request without its paging fields,
signed with the service's key. It cannot be altered or used with other search terms or filters.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable

from google.protobuf.message import Message
from itsdangerous import BadData, URLSafeSerializer

from serving.errors import InvalidField, InvalidPageToken

KEY_BYTES = 32
# Clients accept messages of 4 MiB by default.
MAX_PAGE_BYTES = 3 * 2**20


class PageRoom:
    """The bytes left on a page; the first message always fits."""

    def __init__(self) -> None:
        self._bytes = 0

    def fits(self, message: Message) -> bool:
        """Add the next message's size to the page; return whether it fits."""
        is_first = not self._bytes
        self._bytes += message.ByteSize()
        return is_first or self._bytes <= MAX_PAGE_BYTES


class PageTokens:
    """Makes and reads page tokens.

    `key` returns the key that signs them; it may raise an error of its own while the key is not known.
    """

    def __init__(self, key: Callable[[], bytes]) -> None:
        self._key = key
        self._known: URLSafeSerializer | None = None

    def encode(self, cursor: str, request: Message) -> str:
        """Return the token with which `request` continues at `cursor`."""
        return str(self._serializer().dumps([cursor, _digest(request)]))

    def decode(self, token: str, request: Message) -> str | None:
        """Return the cursor of a token; None for the empty token, which means the first page.

        Raises:
            InvalidPageToken: The token was altered, or made for another request.
        """
        if not token:
            return None
        serializer = self._serializer()
        try:
            cursor, digest = serializer.loads(token)
        except (BadData, ValueError, TypeError) as error:
            raise InvalidPageToken from error
        if not secrets.compare_digest(str(digest), _digest(request)):
            raise InvalidPageToken
        return str(cursor)

    def _serializer(self) -> URLSafeSerializer:
        if self._known is None:
            self._known = URLSafeSerializer(self._key(), salt="page-token")
        return self._known


def page_size(requested: int, default: int, maximum: int) -> int:
    """Return the page size to use: 0 means the default, more than the maximum means the maximum.

    Raises:
        InvalidField: The size is negative.
    """
    if requested < 0:
        raise InvalidField("page_size", f"must not be negative; it was {requested}. 0 means {default}.")
    return min(requested or default, maximum)


def _digest(request: Message) -> str:
    """Return a digest of a request without `page_size` and `page_token`."""
    copy = type(request)()
    copy.CopyFrom(request)
    for field in ("page_size", "page_token"):
        if field in copy.DESCRIPTOR.fields_by_name:
            copy.ClearField(field)
    return hashlib.sha256(copy.SerializeToString(deterministic=True)).hexdigest()[:32]
