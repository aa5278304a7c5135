"""The threads that all indexes share, and background work on them.

Thousands of indexes may be open, so none has its own thread. The whole service has one thread for merges, so that
searches keep most of the machine, and another for checks that read whole files, so that no merge waits for the check of
a large index.
"""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor

from index_service.local.commit_gate import CommitGate
from serving.background import WorkHealth

# Commits wait for the disk, which can sync several files at once.
_COMMITS = 8


class Background:
    """The threads of a catalog, and the gate that all commits pass."""

    def __init__(self) -> None:
        self.merges: Executor = ThreadPoolExecutor(1, thread_name_prefix="merge")
        self.commits: Executor = ThreadPoolExecutor(_COMMITS, thread_name_prefix="commit")
        self.checks: Executor = ThreadPoolExecutor(1, thread_name_prefix="check")
        self.commit_gate = CommitGate()
        self.merging = WorkHealth("merging")

    def close(self) -> None:
        """Let the threads finish their current work and end; drop queued work."""
        # In this order, because a commit or the end of a check may start a merge.
        for threads in (self.commits, self.checks, self.merges):
            threads.shutdown(cancel_futures=True)
