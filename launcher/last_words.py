"""Find the error among the last lines that a service wrote.

A library may print a warning after the error, or long before a kill, so the last line alone is not the reason.
"""

from __future__ import annotations

import re

from serving.logs import ERROR_PREFIX

# As `serving.logs` writes them, for people and as JSON; and as gRPC's core does.
_LOGGED = re.compile(r"^\S+ \[(warning|error|critical) *\] |\"level\": \"(warning|error|critical)\"")
OF_GRPC = re.compile(r"E\d{4} [^\]]*\] ")
_TRACEBACK = "Traceback (most recent call last):"


class LastWords:
    """What a service said last.

    `error` is the error in the lines so far: the service's own sentence, or else the last line of a traceback, or else
    "". `sentence` is its own sentence, or "". `complaint` is the last warning or error that it logged, or else that
    gRPC did. `line` is the last line.
    """

    def __init__(self) -> None:
        self.error = ""
        self.sentence = ""
        self.line = ""
        self._logged = ""
        self._of_grpc = ""
        self._in_traceback = False

    @property
    def complaint(self) -> str:
        """The last warning or error that was logged."""
        return self.error or self._logged or self._of_grpc

    def add(self, line: str) -> None:
        """Take the next line into account."""
        if not line:
            return
        self.line = line
        if line.startswith(ERROR_PREFIX):
            self.error = self.sentence = line.removeprefix(ERROR_PREFIX)
        elif _LOGGED.search(line):
            self._logged = line
        elif OF_GRPC.match(line):
            self._of_grpc = line
        elif line.startswith(_TRACEBACK):
            self._in_traceback = True
        elif self._in_traceback and not line[0].isspace():
            self._in_traceback = False
            self.error = self.sentence or line
