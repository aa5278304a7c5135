"""The exported protos: complete, and code for every language comes from the folder as it lies."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
TOOLS = Path(sys.executable).parent
EXPORT = runpy.run_path(str(REPOSITORY / "protos" / "export.py"))["export"]
LANGUAGES = ("cpp", "csharp", "java", "kotlin", "objc", "php", "python", "ruby")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("export") / "protos"
    EXPORT(REPOSITORY / "protos", folder)
    return folder


def run(*command: object) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_protoc_generates_code_for_each_language(exported: Path, tmp_path: Path) -> None:
    outputs = [tmp_path / language for language in LANGUAGES]
    for output in outputs:
        output.mkdir()
    files = [file.relative_to(exported) for file in exported.rglob("*.proto")]
    options = (f"--{output.name}_out={output}" for output in outputs)
    run(TOOLS / "protoc", f"-I{exported}", *options, *files)
    written = {output.name: [file for file in output.rglob("*") if file.is_file()] for output in outputs}
    assert all(written.values()), written
    # A class has its own file, in the package of the proto.
    assert tmp_path / "java" / "semsearch" / "v1" / "SearchByTextRequest.java" in written["java"]


def test_buf_builds_the_folder_without_a_registry(exported: Path, tmp_path: Path) -> None:
    run(TOOLS / "buf", "build", exported, "-o", tmp_path / "image.binpb")


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kept").touch()
    command = [sys.executable, REPOSITORY / "protos" / "export.py", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"{tmp_path} exists already. Remove it, or name another folder.\n"
    assert list(tmp_path.iterdir()) == [tmp_path / "kept"]
