"""The callers of tokens that an OpenID provider issued.

Such a token is a JWT. Its signature, issuer, audience and time are checked, with the algorithms of the settings only.
The caller's role and collections come from claims that the settings name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jwt
from jwt.types import Options

from serving.access.errors import NoRole, TokenExpired, TokenUnknown, TooManyCollections
from serving.access.identity import Identity
from serving.access.key_sets import KeySet
from serving.access.tokens import MAX_COLLECTIONS
from serving.callers import Caller, Role, is_collection_id

PREFIX = "oidc:"
_LEEWAY_SECONDS = 30
_MOST_NAME_CHARACTERS = 200
_NOT_PRINTABLE = re.compile(r"[^\x21-\x7e]")
_REQUIRED = ["exp", "iss", "aud", "sub"]


@dataclass(frozen=True)
class OidcTokens:
    """Tokens of one provider.

    Attributes:
        issuer: The provider's name in its tokens.
        audience: The name of this suite in its tokens.
        algorithms: The algorithms that are accepted.
        role_claim: The path of the claim with the role, or with several.
        role_prefix: What comes before read, write or admin in that claim.
        collections_claim: The path of the claim with the collections; empty if all callers may use all.
        keys: The provider's keys.
    """

    issuer: str
    audience: str
    algorithms: Sequence[str]
    role_claim: tuple[str, ...]
    role_prefix: str
    collections_claim: tuple[str, ...]
    keys: KeySet

    async def identify(self, token: str) -> Identity:
        """Return whose a token is.

        Raises:
            TokenUnknown: It is not a token of the provider for this suite.
            TokenExpired: It was one.
            NoRole: It is one, and gives its bearer no role.
            TooManyCollections: It is one, and names more collections than a token may have.
        """
        try:
            header = jwt.get_unverified_header(token)
            key = await self.keys.find(str(header.get("kid", "")))
            # Keys are known for accepted algorithms only, so the token chooses among these.
            if key is None or (for_algorithm := key.get(str(header.get("alg")))) is None:
                raise TokenUnknown
            claims = jwt.decode(
                token,
                for_algorithm,
                self.algorithms,
                Options(require=_REQUIRED, verify_exp=True),
                audience=self.audience,
                issuer=self.issuer,
                leeway=_LEEWAY_SECONDS,
            )
        except jwt.ExpiredSignatureError as error:  # raised only after the signature was found right
            raise TokenExpired(_expiry(token)) from error
        except jwt.InvalidTokenError as error:
            raise TokenUnknown from error
        return Identity(self._caller(claims), claims["exp"] + _LEEWAY_SECONDS)

    def _caller(self, claims: dict[str, Any]) -> Caller:
        name = PREFIX + _NOT_PRINTABLE.sub("_", claims["sub"])[:_MOST_NAME_CHARACTERS]
        known = {self.role_prefix + role.name.lower(): role for role in Role}
        roles = [known[text] for text in _texts(claims, self.role_claim) if text in known]
        if not roles:
            raise NoRole(name, ".".join(self.role_claim), known)
        return Caller(name, max(roles), self._collections(name, claims) if self.collections_claim else None)

    def _collections(self, caller: str, claims: dict[str, Any]) -> frozenset[str]:
        """Return the collections that the claim names; it may have names of other things too."""
        collections = frozenset(filter(is_collection_id, _texts(claims, self.collections_claim)))
        if len(collections) > MAX_COLLECTIONS:
            raise TooManyCollections(caller, ".".join(self.collections_claim), len(collections), MAX_COLLECTIONS)
        return collections


def _expiry(token: str) -> float:
    claims = jwt.decode(token, options={"verify_signature": False})
    return float(claims["exp"])


def _texts(claims: dict[str, Any], path: tuple[str, ...]) -> list[str]:
    """Return the texts at a path: those of a list, or of one text with spaces between them."""
    found: Any = claims
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    if isinstance(found, str):
        return found.split()
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []
