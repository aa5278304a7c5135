"""A file of lines of JSON that never makes a caller wait.

Contract:
- A thread writes the lines; at most `MOST_WAITING` wait. Lines beyond that, for example while the disk is full, are
  lost, and a line says how many.
- Any number of processes may share a file: lines are appended, each batch by one write.
- A file that has reached its size is renamed, and the oldest ones are deleted.
- Lines are not synced: after a power failure, the last ones may be missing.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import structlog
from prometheus_client import Counter, Gauge

from serving.settings import ServiceSettings

MOST_WAITING = 10_000
_RETRY_SECONDS = 1.0
_END_SECONDS = 5.0
LINES = Counter("semsearch_audit_lines", "Lines of the audit log, written or lost.", ["outcome"])
# Prometheus sees a count rise only if it has seen it before.
WRITTEN, LOST = LINES.labels("written"), LINES.labels("lost")
FAILING = Gauge("semsearch_audit_failing", "1 while the audit log cannot be written, so that its lines wait.")

log = structlog.get_logger(__name__)


class AuditLogUnusable(Exception):
    """The file of the audit log cannot be written."""


class AuditLog:
    """Appends lines to a file, on a thread; `open_audit_log` makes and closes it."""

    def __init__(self, path: Path, max_bytes: int, keep: int) -> None:
        """Open the file; raises `OSError` if it cannot be written."""
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._waiting: deque[str] = deque()
        self._lost = 0
        self._prefix = ""
        self._is_failing = False
        self._changed = threading.Condition()
        self._closed = False
        self._append("")
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    def write(self, line: Mapping[str, object]) -> None:
        """Queue a line; it is lost if too many wait."""
        text = json.dumps({"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **line}) + "\n"
        with self._changed:
            if len(self._waiting) >= MOST_WAITING:
                self._lost += 1
                LOST.inc()
                return
            self._waiting.append(text)
            self._changed.notify()

    @property
    def waiting(self) -> int:
        """How many lines wait."""
        return len(self._waiting)

    def close(self) -> None:
        """Write what waits, if that is possible in a few seconds."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(_END_SECONDS)
        if self._waiting:
            LOST.inc(len(self._waiting))
            log.error("lines of the audit log are lost", path=str(self._path), lines=len(self._waiting))

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                lines, lost = tuple(self._waiting), self._lost
            note = json.dumps({"time": datetime.now(UTC).isoformat(), "lost_lines": lost}) + "\n" if lost else ""
            try:
                self._append("".join(lines) + note)
            except OSError as error:
                self._report(error)
                with self._changed:
                    self._changed.wait_for(lambda: self._closed, _RETRY_SECONDS)
                    if self._closed:
                        return
                continue
            self._report(None)
            WRITTEN.inc(len(lines))
            with self._changed:
                self._lost -= lost
                for _ in lines:
                    self._waiting.popleft()

    def _append(self, text: str) -> None:
        """Append text by one write; after an error, it is appended once more."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._is_full():
            self._begin_another()
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        try:
            content = (self._prefix + text).encode()
            if text and os.write(file, content) != len(content):
                self._prefix = "\n"  # ends the line of which a part was written
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(file)
        self._prefix = ""

    def _is_full(self) -> bool:
        return self._path.exists() and self._path.stat().st_size >= self._max_bytes

    def _begin_another(self) -> None:
        with self._path.with_name(f".{self._path.name}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the other processes that share the file
            if self._is_full():
                self._path.rename(self._path.with_name(f"{self._path.name}.{time.time_ns()}"))
            older = sorted(self._path.parent.glob(f"{self._path.name}.*"))
            for each in older[: max(0, len(older) - self._keep)]:
                each.unlink()

    def _report(self, error: OSError | None) -> None:
        if (error is not None) == self._is_failing:
            return
        self._is_failing = error is not None
        FAILING.set(self._is_failing)
        if error is not None:
            log.error("the audit log cannot be written; its lines wait", path=str(self._path), error=str(error))
        else:
            log.info("the audit log is written again", path=str(self._path))


@contextmanager
def open_audit_log(settings: ServiceSettings) -> Iterator[AuditLog | None]:
    """Open the audit log that the settings name, if they do; raises `AuditLogUnusable`."""
    if not settings.audit_log:
        yield None
        return
    try:
        audit = AuditLog(Path(settings.audit_log), settings.audit_max_bytes, settings.audit_keep)
    except OSError as error:
        raise AuditLogUnusable(
            f"The audit log {settings.audit_log} cannot be written: {error.strerror or error}. Make its folder "
            f"writable, or set {settings.variable('audit_log')} to another file."
        ) from error
    try:
        yield audit
    finally:
        audit.close()
