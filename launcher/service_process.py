"""Run one process of a service, and show its output."""

from __future__ import annotations

import threading
from collections.abc import Callable

from honcho.printer import Message
from honcho.process import Process
from rich.console import Console
from rich.text import Text

from launcher.last_words import LastWords
from serving.logs import ERROR_PREFIX


class ServiceProcess:
    """A process and its state. honcho puts its events here, from a thread of this process's own.

    `on_start` is called with the process id; `changed` is set when the process has ended. The sentence with which a
    service ends is not shown, but kept in `last_words`: whoever says that it ended says why.
    """

    def __init__(
        self, prefix: Text, console: Console, on_start: Callable[[int], None], changed: threading.Event
    ) -> None:
        self.started = threading.Event()
        self.ended = threading.Event()
        self.pid: int | None = None
        self.returncode = 127  # a shell's status for a command that cannot be started
        self.last_words = LastWords()
        self._prefix = prefix
        self._console = console
        self._on_start = on_start
        self._changed = changed

    def start(self, process: Process) -> None:
        """Start the process, and follow it to its end in the background."""
        threading.Thread(target=self._run, args=[process], name=process.name, daemon=True).start()

    def put(self, message: Message) -> None:
        """Handle one of the events "start", "line" and "stop"."""
        match message.type:
            case "start":
                self.pid = message.data["pid"]
                self.started.set()
                self._on_start(message.data["pid"])
            case "line":
                line = Text.from_ansi(message.data.decode("utf-8", "replace").rstrip())
                self.last_words.add(line.plain)
                if not line.plain.startswith(ERROR_PREFIX):
                    self.show(line)
            case "stop":
                self.returncode = message.data["returncode"]

    def show(self, line: Text) -> None:
        """Show a line behind the name of the service."""
        self._console.print(self._prefix + line)

    def _run(self, process: Process) -> None:
        try:
            process.run(self)
        finally:
            self.started.set()
            self.ended.set()
            self._changed.set()
