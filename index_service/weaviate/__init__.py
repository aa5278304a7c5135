"""Indexes that a Weaviate cluster keeps: a collection for each, and no files of our own."""

import warnings

from authlib.deprecate import AuthlibDeprecationWarning

with warnings.catch_warnings():
    # Authlib, which only logins by OIDC need, announces that a later version will want another HTTP library.
    warnings.simplefilter("ignore", AuthlibDeprecationWarning)
    import weaviate  # noqa: F401 — the library, loaded here first
