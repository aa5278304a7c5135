"""Why a call is refused.

    AccessRefused
    ├── TokenMissing           the call has no token, and needs one
    ├── TokenUnknown           the token is not one that is known here
    ├── TokenExpired           the token was valid until some time
    ├── TokenChanged           the token allows something else than when the stream began
    ├── NoRole                 the token gives its bearer no role
    ├── TooManyCollections     the token names more collections than one may have
    ├── RoleTooLow             the method needs another role
    ├── CollectionNotAllowed   the caller may use only other collections
    ├── NotForSomeCollections  the method concerns the whole suite, and the caller may use only some collections
    └── MethodClosed           the method has no rule, so nobody may call it

`serving.errors` has their statuses.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from serving.callers import Caller, Role

_ASK = "Ask the operator of this server for"


class AccessRefused(Exception):
    """The caller is not known, or may not make the call."""


class TokenMissing(AccessRefused):
    """The call has no token, and needs one."""

    def __init__(self) -> None:
        super().__init__(
            "This server answers only callers that it knows, and the call has no token. Send one with each call, as "
            "the header `authorization: Bearer TOKEN`; the command and the Python client take it from "
            f"SEMSEARCH_CLIENT_TOKEN. {_ASK} one (`semsearch token create` makes it)."
        )


class TokenUnknown(AccessRefused):
    """The token is not one that is known here."""

    def __init__(self) -> None:
        super().__init__(
            "The token is not one that this server knows: it was mistyped or revoked, or is one of another server. "
            f"{_ASK} a new one."
        )


class TokenExpired(AccessRefused):
    """The token was valid until some time, in seconds since 1970."""

    def __init__(self, until: float) -> None:
        shown = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(until))
        super().__init__(f"The token expired at {shown}. {_ASK} a new one.")


class TokenChanged(AccessRefused):
    """The token is another caller's, or allows something else, than when the stream began."""

    def __init__(self, caller: str) -> None:
        super().__init__(
            f'What the token of "{caller}" allows was changed while the call was in progress. What was acknowledged '
            "stays. Call again: the new rights hold then."
        )


class NoRole(AccessRefused):
    """The token of an OpenID provider gives its bearer no role."""

    def __init__(self, caller: str, claim: str, roles: Iterable[str]) -> None:
        self.needed = Role.READ.name.lower()
        super().__init__(
            f'The token of "{caller}" is valid, but its claim "{claim}" has no role for this server: none of '
            f"{', '.join(roles)}. Ask whoever runs the OpenID provider to add one."
        )


class TooManyCollections(AccessRefused):
    """The token of an OpenID provider names more collections than one may have."""

    def __init__(self, caller: str, claim: str, count: int, most: int) -> None:
        super().__init__(
            f'The token of "{caller}" is valid, but its claim "{claim}" has {count:,} collections, and a token may '
            f"have {most:,}. Ask whoever runs the OpenID provider to name fewer."
        )


class RoleTooLow(AccessRefused):
    """The method needs another role than the caller's."""

    def __init__(self, caller: Caller, method: str, needed: Role) -> None:
        self.role = caller.role.name.lower()
        self.needed = needed.name.lower()
        super().__init__(
            f'The token of "{caller.name}" has the role {self.role}, and {method} needs the role {self.needed}. '
            f"{_ASK} a token with that role."
        )


class CollectionNotAllowed(AccessRefused):
    """The caller may use only other collections."""

    def __init__(self, caller: Caller, collection: str) -> None:
        self.collection = collection
        super().__init__(
            f'The token of "{caller.name}" is for {_listed(caller.collections or ())} only, and the call is about '
            f'"{collection}". Name one of its own, or ask the operator of this server for a token for that collection.'
        )


class NotForSomeCollections(AccessRefused):
    """The method concerns the whole suite, and the caller may use only some collections."""

    def __init__(self, caller: Caller, method: str) -> None:
        super().__init__(
            f'The token of "{caller.name}" is for {_listed(caller.collections or ())} only, and {method} concerns the '
            f"whole suite. {_ASK} a token for all collections."
        )


class MethodClosed(AccessRefused):
    """The method has no rule, so nobody may call it."""

    def __init__(self, method: str) -> None:
        super().__init__(
            f"Nobody may call {method}: this server has no rule that says who may. This is a fault of the server; "
            "please report it."
        )


def _listed(collections: Iterable[str]) -> str:
    names = sorted(collections)
    shown = ", ".join(f'"{each}"' for each in names[:5])
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return f"the collection{'s' if len(names) > 1 else ''} {shown}{more}"
