"""Find the error among the last lines that a service wrote.

A library may print a warning after the error, or long before a kill, so the last line alone is not the reason.
"""

from __future__ import annotations

from serving.logs import ERROR_PREFIX

_TRACEBACK = "Traceback (most recent call last):"


class LastWords:
    """The error in the lines so far: a service's own sentence, or else the last line of a traceback, or else ""."""

    def __init__(self) -> None:
        self.error = ""
        self.line = ""
        self._is_own = False
        self._in_traceback = False

    def add(self, line: str) -> None:
        """Take the next line into account."""
        if not line:
            return
        self.line = line
        if line.startswith(ERROR_PREFIX):
            self.error, self._is_own = line.removeprefix(ERROR_PREFIX), True
        elif line.startswith(_TRACEBACK):
            self._in_traceback = True
        elif self._in_traceback and not line[0].isspace():
            self._in_traceback = False
            self.error = self.error if self._is_own else line
