"""Find the caller of a call by the token that it carries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from serving import callers
from serving.access.bearer import bearer_token, with_token
from serving.access.errors import TokenMissing, TokenUnknown
from serving.access.identity import Identity
from serving.access.key_sets import Keys, key_set
from serving.access.oidc import OidcTokens
from serving.access.settings import AccessSettings
from serving.access.suite_key import IDENTITY_PREFIX, BadSuiteKey, SuiteKey
from serving.access.tokens import PREFIX, BadTokenFile, Tokens
from serving.field_paths import split_path
from serving.watched_file import WatchedFile

# What tokens are compared with: the content of the file, and the keys of the provider.
Sources: TypeAlias = tuple[Tokens | None, Keys | None]


@dataclass(frozen=True)
class Authentication:
    """Whose tokens are accepted: those of the suite's file, of an OpenID provider, and of the suite itself."""

    suite: WatchedFile[SuiteKey]
    tokens: WatchedFile[Tokens] | None = None
    oidc: OidcTokens | None = None

    async def identify(self, metadata: Mapping[str, str]) -> Identity:
        """Return whose the token of a call is.

        Raises:
            AccessRefused: The call has no token, or one that is not accepted.
        """
        token = bearer_token(metadata)
        if not token:
            raise TokenMissing
        if token.startswith(PREFIX) and self.tokens is not None:
            return self.tokens.content.identify(token, time.time())
        if token.startswith(IDENTITY_PREFIX):
            return Identity(self.suite.content.caller(token, time.time()), from_suite=True)
        if self.oidc is not None:
            return await self.oidc.identify(token)
        raise TokenUnknown

    def sources(self) -> Sources:
        """Return what tokens are compared with now; what changes is replaced, so a change makes them unequal."""
        return (
            self.tokens.content if self.tokens is not None else None,
            self.oidc.keys.current if self.oidc is not None else None,
        )

    def identity(self) -> tuple[tuple[str, str], ...]:
        """Return the metadata of a call to another service of the suite, on behalf of the current caller."""
        caller = callers.current()
        signed = self.suite.content.sign(callers.SUITE if caller is callers.ANONYMOUS else caller)
        return (with_token(signed),)

    @asynccontextmanager
    async def kept_current(self) -> AsyncIterator[None]:
        """Follow changes of files and keys inside the `async with` block."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.suite.keep_current())]
            if self.tokens is not None:
                tasks.append(group.create_task(self.tokens.keep_current()))
            if self.oidc is not None:
                tasks.append(group.create_task(self.oidc.keys.keep_current()))
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()


def authentication(settings: AccessSettings) -> Authentication:
    """Return whose tokens the settings accept.

    Raises:
        UnusableFile: A file of the settings cannot be used.
    """
    # First the file that a setting names; the key is made with it.
    tokens = WatchedFile(Path(settings.tokens), Tokens.parse, BadTokenFile) if settings.tokens else None
    return Authentication(
        suite=WatchedFile(settings.suite_key_file, SuiteKey.parse, BadSuiteKey),
        tokens=tokens,
        oidc=_oidc(settings) if settings.oidc_issuer else None,
    )


def _oidc(settings: AccessSettings) -> OidcTokens:
    algorithms = settings.oidc_algorithm_names
    return OidcTokens(
        settings.oidc_issuer,
        settings.oidc_audience,
        algorithms,
        split_path(settings.oidc_role_claim),
        settings.oidc_role_prefix,
        split_path(settings.oidc_collections_claim) if settings.oidc_collections_claim else (),
        key_set(settings.oidc_keys, algorithms),
    )
