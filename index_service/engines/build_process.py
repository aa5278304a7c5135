"""Builds an engine's files in a separate process, which runs `building`.

There are three reasons: filling a forest or a graph holds the GIL (other threads waited up to 20 ms while 30,000 rows
were added to a forest); on a full disk, writing to a mapped file kills the process; and a build can only be stopped
from outside.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from index_service.engines.contract import Progress
from index_service.errors import BuildFailed, BuildStopped, StorageFull


class BuildProcess:
    """Runs at most one build at a time; another thread may call `stop`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stopped = False
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, engine: str, vectors_file: Path, folder: Path, settings: Sequence[float], progress: Progress) -> None:
        """Call an engine's build function with the vectors, the folder and the settings.

        Raises:
            BuildFailed, BuildStopped, StorageFull: as `Engine.build`.
        """
        arguments = [engine, str(vectors_file), str(folder), *map(str, settings)]
        with self._lock:
            if self._stopped:
                raise BuildStopped("The service is stopping.")
            # Its own process group, so that Ctrl-C reaches only the service, which stops the build.
            self._process = process = subprocess.Popen(  # noqa: S603 — our own interpreter, our own module
                [sys.executable, "-m", "index_service.engines.building", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                process_group=0,
            )
        with process, ThreadPoolExecutor(1, thread_name_prefix="complaint") as reader:
            if process.stdout is None or process.stderr is None:  # for the type checker: both are pipes
                raise BuildFailed("No pipe.")
            # Read in parallel with the progress: a process whose error output fills the pipe would wait forever.
            complaining = reader.submit(process.stderr.read)
            try:
                for line in process.stdout:
                    progress(int(line))
            except BaseException:
                process.kill()
                raise
            complaint = complaining.result().decode(errors="replace").strip()
        self._process = None
        if process.returncode == -signal.SIGBUS or "No space left" in complaint:
            raise StorageFull(folder, "no space for a segment")
        if process.returncode != 0 and self._stopped:
            raise BuildStopped("The service is stopping.")
        if process.returncode != 0:
            last = complaint.splitlines()[-1:] or ["it was stopped"]
            raise BuildFailed(f"Building a segment in {folder} ended with status {process.returncode}: {last[0]}")

    def stop(self) -> None:
        """Stop a running build, and let no other start."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.kill()
