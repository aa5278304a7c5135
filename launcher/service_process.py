"""Run one process of a service, and show its output."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from honcho.printer import Message
from honcho.process import Process
from rich.text import Text

from launcher.last_words import OF_GRPC, LastWords
from serving.logs import ERROR_PREFIX

_AGAIN_SECONDS = 60.0


class ServiceProcess:
    """A process and its state. honcho puts its events here, from a thread of this process's own.

    `show` shows a line that it wrote. `on_start` is called with the process id; `changed` is set when the process has
    ended. The sentence with which a service ends is not shown, but kept in `last_words`: whoever says that it ended
    says why.
    """

    def __init__(self, show: Callable[[Text], None], on_start: Callable[[int], None], changed: threading.Event) -> None:
        self.started = threading.Event()
        self.ended = threading.Event()
        self.pid: int | None = None
        self.returncode = 127  # a shell's status for a command that cannot be started
        self.last_words = LastWords()
        self._said: dict[str, float] = {}
        self.show = show
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
                if not line.plain.startswith(ERROR_PREFIX) and not self._repeats(line.plain):
                    self.show(line)
            case "stop":
                self.returncode = message.data["returncode"]

    def _repeats(self, line: str) -> bool:
        """Return whether gRPC says again what it said within a minute, as it does of each connection that it tries."""
        if not (said := OF_GRPC.match(line)):
            return False
        now, text = time.monotonic(), line[said.end() :]
        last = self._said.get(text, -math.inf)
        if now - last < _AGAIN_SECONDS:
            return True
        self._said = {each: at for each, at in self._said.items() if now - at < _AGAIN_SECONDS} | {text: now}
        return False

    def _run(self, process: Process) -> None:
        try:
            process.run(self)
        finally:
            self.started.set()
            self.ended.set()
            self._changed.set()
