"""Untrusted text on a terminal and in JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from semsearch.cli.harmless import harmless, harmless_json


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b]52;c;cm0gLXJm\x07.jpg", r"a\x1b]52;c;cm0gLXJm\x07.jpg"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("csi \x9b2J, bidi \u202egpj.exe, line \u2028", r"csi \x9b2J, bidi \u202egpj.exe, line \u2028"),
        ("not Unicode \udcff", r"not Unicode \udcff"),
        ("Ärger\u00a0in 東京\u3000👩\u200d👧", "Ärger\u00a0in 東京\u3000👩\u200d👧"),
    ],
)
def test_what_a_terminal_would_act_on_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert harmless(text) == shown


@given(text=st.text())
def test_a_terminal_gets_no_control_character_whatever_the_text(text: str) -> None:
    assert not any(ord(each) < 32 or 127 <= ord(each) < 160 for each in harmless(text))


@given(text=st.text(st.characters(exclude_categories=[])))
def test_json_means_the_same_and_has_none_either(text: str) -> None:
    written = harmless_json(json.dumps(text, ensure_ascii=False))
    assert json.loads(written) == text
    assert not any(ord(each) < 32 or 127 <= ord(each) < 160 for each in written)
    written.encode()
