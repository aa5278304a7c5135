"""Shorten the caller's text that an error quotes.

A status travels in a call's trailers, which gRPC limits to 8 kB. A longer one ends the call as "Stream removed",
without any details for the caller.
"""

from __future__ import annotations

import re

_QUOTED = re.compile(r'"([^"]+)"')
_MORE = "…"
# The length of a sentence, as a multiple of the length of its quotes.
_SENTENCE = 5


def cut(text: str, most: int) -> str:
    """Return at most `most` characters of a text; a shortened one ends with "…"."""
    return text if len(text) <= most else text[: most - 1] + _MORE


def cut_quoted(message: str, most: int) -> str:
    """Return a message with at most `most` characters of each text in quotation marks.

    A message that is still too long loses its middle, because it begins with the problem and ends with advice.
    """
    message = _QUOTED.sub(lambda quoted: f'"{cut(quoted[1], most)}"', message)
    half = _SENTENCE * most // 2
    return message if len(message) <= 2 * half else f"{message[: half - 1]}{_MORE}{message[-half:]}"
