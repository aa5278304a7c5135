"""Normalises the characters of a query: Unicode's many quotes, dashes and invisible marks become a few.

Keyboards, phones and word processors write “ ” « » 「 」 for quotes and – — − for a hyphen or a minus, and pasted text
contains zero-width characters. People see no difference, so queries make none.
"""

from __future__ import annotations

import re
import unicodedata

_DOUBLE_QUOTES = "“”„‟«»‹›「」『』《》〈〉〝〞〟〃″❝❞"
# A single quote may also be an apostrophe; the query parser decides.
_SINGLE_QUOTES = "‘’‚‛`´′‵ʹʻʼʽˈ❛❜"
_DASHES = "‐‑‒–—―−⁃﹘﹣－"
# Invisible, although Unicode does not class them as formatting: fillers, variation selectors, the grapheme joiner.
_INVISIBLE = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0" + "".join(map(chr, range(0xFE00, 0xFE10)))
_SIGNS = str.maketrans(
    dict.fromkeys(_DOUBLE_QUOTES, '"')
    | dict.fromkeys(_SINGLE_QUOTES, "'")
    | dict.fromkeys(_DASHES, "-")
    | dict.fromkeys(_INVISIBLE)
    | dict.fromkeys("™℠®©")  # NFKC would turn them into letters: dog™ → dogTM
)
_TWO_SINGLE = re.compile("''+")


def normalize(text: str) -> str:
    """Return the text in NFKC with `"`, `'` and `-` as its only quotes and dashes, and without invisible characters.

    Control characters become spaces.
    """
    if text.isascii() and text.isprintable() and "`" not in text and "''" not in text:
        return text
    visible = "".join(" " if kind == "Cc" else mark for mark, kind in _with_kinds(text) if kind != "Cf")
    # Before and after: NFKC decomposes some of these signs (´ into a space and an accent) and produces others (＂).
    signs = unicodedata.normalize("NFKC", visible.translate(_SIGNS)).translate(_SIGNS)
    return _TWO_SINGLE.sub('"', signs)


def _with_kinds(text: str) -> list[tuple[str, str]]:
    return [(mark, unicodedata.category(mark)) for mark in text]
