"""The memory of a process as Linux reports it; None on other systems."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Memory:
    """Megabytes (2**20) of own memory (RssAnon), and of mapped files (RssFile), which the system can reclaim."""

    own: float
    mapped: float

    @classmethod
    def of(cls, process: int | str = "self") -> Memory | None:
        """Read /proc/PID/status."""
        status = Path(f"/proc/{process}/status")
        if not status.exists():
            return None
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return cls(*(int(fields[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile")))

    @classmethod
    def since(cls, before: Memory | None) -> Memory | None:
        """Return the increase since `before`."""
        now = cls.of()
        return now and before and cls(now.own - before.own, now.mapped - before.mapped)


def disk_bytes(folder: Path) -> int:
    """Return the bytes that a folder's files take up on disk."""
    return sum(512 * file.stat().st_blocks for file in folder.rglob("*") if file.is_file())
