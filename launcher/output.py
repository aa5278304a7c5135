"""What the launcher and the services say, on one stream: for people, or as JSON.

For people, a line of a service stands behind its name. As JSON, each line is a document, whatever a service or a
library printed: logs get the name of their process, and anything else becomes the event of a document.
"""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import TextIO, cast

from rich.console import Console
from rich.text import Text
from typing_extensions import override

from serving.logs import ERROR_PREFIX

LAUNCHER = "launcher"
_COLORS = ("cyan", "yellow", "green", "magenta", "blue")


class Output:
    """The stream for people; `console` is for what the launcher itself says."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._width = 0
        self._prefixes: dict[str, Text] = {}

    def name(self, *processes: str) -> None:
        """Give processes their margin, before they say anything."""
        self._width = max(self._width, *map(len, processes))

    def show(self, process: str, line: Text) -> None:
        """Show a line of a process."""
        if process not in self._prefixes:
            color = _COLORS[len(self._prefixes) % len(_COLORS)]
            self._prefixes[process] = Text.assemble((f"{process:{self._width}} | ", color))
        self.console.print(self._prefixes[process] + line)


class JsonOutput(Output):
    """The stream as JSON, a document a line; `level` is that of what the launcher itself says."""

    def __init__(self, stream: TextIO, level: str = "info") -> None:
        self._documents = _Documents(stream, level)
        super().__init__(Console(file=cast(TextIO, self._documents), highlight=False, markup=False, soft_wrap=True))

    @override
    def show(self, process: str, line: Text) -> None:
        self._documents.write_line(process, line.plain)


class _Documents(io.TextIOBase):
    """A file for a console: each line that is written becomes a document."""

    def __init__(self, stream: TextIO, level: str) -> None:
        self._stream = stream
        self._level = level

    @override
    def write(self, text: str) -> int:
        for line in text.splitlines():
            if line.strip():
                self._write({"process": LAUNCHER, **_said(line, self._level)})
        return len(text)

    def write_line(self, process: str, line: str) -> None:
        """Write a line of another process."""
        if line.strip():
            self._write({"process": process, **_logged(line)})

    @override
    def flush(self) -> None:
        self._stream.flush()

    def _write(self, document: dict[str, object]) -> None:
        self._stream.write(json.dumps(document, ensure_ascii=False) + "\n")
        self._stream.flush()


def _logged(line: str) -> dict[str, object]:
    try:
        document = json.loads(line)
    except ValueError:
        document = None
    if isinstance(document, dict):
        return document
    if line.startswith(ERROR_PREFIX):
        return _said(line.removeprefix(ERROR_PREFIX), "error")
    return _said(line, "info")  # of a library: nothing says how severe it is


def _said(line: str, level: str) -> dict[str, object]:
    return {"event": line, "level": level, "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z")}
