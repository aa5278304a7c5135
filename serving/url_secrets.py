"""Keeps the secrets in URLs out of logs and messages."""

from __future__ import annotations

import re

_USER_AND_PASSWORD = re.compile(r"(?<=://)[^/?#]*@")
_QUERY_AND_FRAGMENT = re.compile(r"(?<=://)([^?#]*)[?#].*", re.DOTALL)


def without_secrets(text: str) -> str:
    """Return a text as it may be logged or told to callers: its URLs have no user, password, query or fragment.

    What follows a query or a fragment is left out too. A text without "://" stays as it is.
    """
    return _QUERY_AND_FRAGMENT.sub(r"\1", _USER_AND_PASSWORD.sub("", text))
