r"""Makes untrusted text (file names, attributes, a server's messages) harmless for a terminal.

A file name may contain escape sequences that clear the screen or set the clipboard, a newline that forges a line of
output, or marks that reverse the reading order. They are shown as Python writes them: `\x1b`, `\n`, `\u202e`.
"""

from __future__ import annotations

import re
import unicodedata

# Control, formatting and surrogate characters, and line separators.
_HARMFUL_KINDS = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Formatting that some scripts and emoji need.
_JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"
# JSON itself escapes only characters below U+0020.
_RAW_IN_JSON = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def harmless(text: str) -> str:
    """Return the text with all characters escaped that a terminal would act on."""
    if text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in _HARMFUL_KINDS and character not in _JOINERS
        else character
        for character in text
    )


def harmless_json(document: str) -> str:
    """Return equivalent JSON without characters that a terminal would act on or that UTF-8 cannot encode."""
    return _RAW_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", document)
