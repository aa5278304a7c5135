from __future__ import annotations

import pytest

from serving.url_secrets import without_secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:hunter2@host:4318/v1/traces", "http://host:4318/v1/traces"),
        ("http://me@work:hunter2@host", "http://host"),
        ("http://hunter 2@host/a b", "http://host/a b"),
        ("s3://bucket/a@b?token=hunter2#hunter2", "s3://bucket/a@b"),
        ("https://me:hunter2@a.example, https://me:hunter2@b.example", "https://a.example, https://b.example"),
        ("https://me:hunter2@[::1/", "https://[::1/"),
    ],
)
def test_users_passwords_and_queries_are_left_out(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


@pytest.mark.parametrize("text", ["", "/photos/a#1?/me@home", "127.0.0.1:50052", "dns:///embedder:50052", "memory://"])
def test_what_has_no_secrets_is_shown_as_it_is(text: str) -> None:
    assert without_secrets(text) == text
