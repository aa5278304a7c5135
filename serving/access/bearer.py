"""The token of a call: `authorization: Bearer TOKEN` in its metadata, or in the headers of HTTP."""

from __future__ import annotations

from collections.abc import Mapping

HEADER = "authorization"
_SCHEME = "Bearer"


def bearer_token(metadata: Mapping[str, str]) -> str:
    """Return the token of a call, "" if it has none."""
    scheme, _, token = metadata.get(HEADER, "").partition(" ")
    return token.strip() if scheme.lower() == _SCHEME.lower() else ""


def with_token(token: str) -> tuple[str, str]:
    """Return the metadata of a call with a token."""
    return HEADER, f"{_SCHEME} {token}"
