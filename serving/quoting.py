"""Cuts what an error repeats of a caller's text.

A status travels in the trailers of a call, of which gRPC takes 8 kB: a longer one ends the call as "Stream removed" and
tells the caller nothing.
"""

from __future__ import annotations

import re

_QUOTED = re.compile(r'"([^"]+)"')
_MORE = "…"
# A sentence beside what it quotes.
_SENTENCE = 5


def cut(text: str, most: int) -> str:
    """Return at most so many characters of a text; one that was cut ends with "…"."""
    return text if len(text) <= most else text[: most - 1] + _MORE


def cut_quoted(message: str, most: int) -> str:
    """Return a message with at most so many characters of each text in quotation marks.

    One that is still long, because it quotes many or in another way, loses its middle: it begins with what happened and
    ends with what to do.
    """
    message = _QUOTED.sub(lambda quoted: f'"{cut(quoted[1], most)}"', message)
    half = _SENTENCE * most // 2
    return message if len(message) <= 2 * half else f"{message[: half - 1]}{_MORE}{message[-half:]}"
