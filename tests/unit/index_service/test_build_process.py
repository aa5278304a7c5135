import stat
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from index_service.engines.build_process import BuildProcess
from index_service.errors import BuildFailed

DEADLINE = 20.0
# More than a pipe holds, so that the writer waits for the reader.
_COMPLAINT_BYTES = 2**18


@pytest.fixture
def process() -> Iterator[BuildProcess]:
    process = BuildProcess()
    yield process
    process.stop()


def test_a_build_with_long_error_output_ends(
    tmp_path: Path, process: BuildProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    program.write_text(
        f"#!/bin/sh\necho 1\nhead -c {_COMPLAINT_BYTES} /dev/zero | tr '\\0' x >&2\n"
        "echo 2\necho >&2\necho 'no trees' >&2\nexit 3\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(program))
    progress: list[int] = []
    with ThreadPoolExecutor(1) as threads:
        build = threads.submit(process.run, "annoy", tmp_path / "vectors.npy", tmp_path, (), progress.append)
        try:
            with pytest.raises(BuildFailed, match="status 3: no trees"):
                build.result(DEADLINE)
        finally:
            process.stop()
    assert progress == [1, 2]
