"""The error of a service is found among what libraries print."""

from __future__ import annotations

import pytest

from launcher.last_words import LastWords
from serving.logs import ERROR_PREFIX

SENTENCE = "The bundle was changed. Fetch it again."
OWN = f"{ERROR_PREFIX}{SENTENCE}"
WARNING = "UserWarning: 1 leaked semaphore"
TRACEBACK = [
    "Traceback (most recent call last):",
    '  File "a.py", line 1, in <module>',
    "    raise",
    "OSError: no disk",
]


@pytest.mark.parametrize(
    ("lines", "error", "line"),
    [
        ([], "", ""),
        (["ready", ""], "", "ready"),
        ([WARNING, OWN], SENTENCE, OWN),
        ([OWN, WARNING], SENTENCE, WARNING),
        ([*TRACEBACK, "[W] bye"], "OSError: no disk", "[W] bye"),
        ([OWN, *TRACEBACK], SENTENCE, "OSError: no disk"),
    ],
    ids=["nothing", "no-error", "warning-before", "warning-after", "traceback", "own-before-traceback"],
)
def test_the_error_is_told_from_warnings(lines: list[str], error: str, line: str) -> None:
    words = LastWords()
    for each in lines:
        words.add(each)
    assert (words.error, words.line) == (error, line)
