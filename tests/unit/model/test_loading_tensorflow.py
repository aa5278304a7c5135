"""TensorFlow's output while it loads is hidden, unless loading fails."""

from __future__ import annotations

import subprocess
import sys


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)


def test_loading_is_silent_and_later_errors_are_shown() -> None:
    done = run(
        "from model.networks.loading_tensorflow import load_tensorflow\n"
        "load_tensorflow()\nimport tensorflow, os\nos.write(2, b'later')"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "later")


def test_output_of_others_during_loading_is_shown() -> None:
    done = run(
        "import os, sys\nfrom importlib.abc import MetaPathFinder\n"
        "class Other(MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'tensorflow':\n"
        "            os.write(2, b'a call was answered\\n')\n"
        "sys.meta_path.insert(0, Other())\n"
        "from model.networks.loading_tensorflow import load_tensorflow\nload_tensorflow()"
    )
    assert (done.returncode, done.stderr) == (0, "a call was answered\n")


def test_a_failed_load_shows_its_reason() -> None:
    done = run(
        "import os, sys\nfrom importlib.abc import MetaPathFinder\n"
        "class Broken(MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'tensorflow':\n"
        "            os.write(2, b'a library is missing\\n')\n"
        "            raise ImportError('no tensorflow')\n"
        "sys.meta_path.insert(0, Broken())\n"
        "from model.networks.loading_tensorflow import load_tensorflow\nload_tensorflow()"
    )
    assert done.returncode == 1
    assert "a library is missing" in done.stderr
    assert "ImportError: no tensorflow" in done.stderr


def test_what_it_does_not_need_is_left_alone() -> None:
    done = run(
        "import gc, sys\n"
        "from model.networks.loading_tensorflow import load_tensorflow\n"
        "load_tensorflow()\nassert gc.isenabled()\nassert 'matplotlib' not in sys.modules\n"
        "import keras, matplotlib.pyplot"
    )
    assert (done.returncode, done.stderr) == (0, "")
