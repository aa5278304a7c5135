"""Find the error among the last lines that a service wrote.

A library may print a warning after the error, or long before a kill, so the last line alone is not the reason.
"""

from __future__ import annotations

from serving.logs import ERROR_PREFIX

_TRACEBACK = "Traceback (most recent call last):"


class LastWords:
    """What a service said last.

    `error` is the error in the lines so far: the service's own sentence, or else the last line of a traceback, or else
    "". `sentence` is its own sentence, or "". `line` is the last line.
    """

    def __init__(self) -> None:
        self.error = ""
        self.sentence = ""
        self.line = ""
        self._in_traceback = False

    def add(self, line: str) -> None:
        """Take the next line into account."""
        if not line:
            return
        self.line = line
        if line.startswith(ERROR_PREFIX):
            self.error = self.sentence = line.removeprefix(ERROR_PREFIX)
        elif line.startswith(_TRACEBACK):
            self._in_traceback = True
        elif self._in_traceback and not line[0].isspace():
            self._in_traceback = False
            self.error = self.sentence or line
