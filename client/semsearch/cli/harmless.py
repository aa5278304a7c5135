r"""Text that may come from anywhere (names of files, attributes, messages of a server), made harmless for a terminal.

A file's name may hold escape sequences that clear the screen or set the clipboard, a newline that forges a line of
output, or marks that turn the reading order around. They are shown as Python writes them: `\x1b`, `\n`, `\u202e`.
"""

from __future__ import annotations

import re
import unicodedata

# Control, formatting and surrogate characters, and the separators of lines.
_HARMFUL_KINDS = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Formatting without which scripts and emoji are shown wrongly.
_JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"
# JSON itself escapes only what lies below a space.
_RAW_IN_JSON = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def harmless(text: str) -> str:
    """Return the text with everything escaped that a terminal would act on."""
    if text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in _HARMFUL_KINDS and character not in _JOINERS
        else character
        for character in text
    )


def harmless_json(document: str) -> str:
    """Return JSON that means the same, without characters that a terminal would act on or that UTF-8 does not have."""
    return _RAW_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", document)
