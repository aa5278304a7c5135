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
    ("lines", "complaint"),
    [
        (["2026-01-01T00:00:00Z [info     ] ready"], ""),
        (["2026-01-01T00:00:00Z [warning  ] one", "2026-01-01T00:00:00Z [error    ] two", "three"], "two"),
        (['{"event": "one", "level": "warning"}', '{"event": "two", "level": "info"}'], "one"),
        (["2026-01-01T00:00:00Z [warning  ] one", "E0000 00:00:1 1 ssl.cc:1] Handshake failed"], "one"),
        (["E0000 00:00:1 1 ssl.cc:1] Handshake failed", "bye"], "Handshake failed"),
        (["2026-01-01T00:00:00Z [error    ] one", OWN], SENTENCE),
    ],
    ids=["none", "last", "json", "own before gRPC's", "of gRPC", "sentence"],
)
def test_the_last_complaint_is_told_from_other_lines(lines: list[str], complaint: str) -> None:
    words = LastWords()
    for each in lines:
        words.add(each)
    assert complaint in words.complaint
    assert bool(complaint) == bool(words.complaint)


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
