"""The client as shipped: built from its sdist, and installed in an environment without the suite."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from tests.needs import need
from tests.services.client_stack import ClientStack, client_stack
from tests.unit.gateway.doubles import picture

ROOT = Path(__file__).parents[2]
MAX_BYTES = 5_000_000
OWN = {"semsearch", "semsearch-suite"}
ALONE = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}


def run(*command: object, folder: Path | None = None) -> str:
    return subprocess.run(
        [*map(str, command)], cwd=folder, env=ALONE, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def build(source: Path, target: str, folder: Path) -> Path:
    """Build a distribution into an empty folder, with the build tools of this environment."""
    run(sys.executable, "-m", "hatchling", "build", "-t", target, "-d", folder, folder=source)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("source")
    with tarfile.open(build(ROOT / "client", "sdist", tmp_path_factory.mktemp("sdist"))) as archive:
        archive.extractall(source, filter="data")
    (unpacked,) = source.iterdir()
    return build(unpacked, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def bin_folder(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment with the wheel and its dependencies, in the suite's versions."""
    folder = tmp_path_factory.mktemp("environment")
    environment, versions = folder / "venv", folder / "versions.txt"
    installed = {each.name: each.version for each in metadata.distributions()}
    versions.write_text("\n".join(f"{name}=={installed[name]}" for name in sorted(installed.keys() - OWN)))
    run(sys.executable, "-m", "venv", "--without-pip", environment)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", environment]
    # Not compiled, because that takes longer than the tests.
    install = subprocess.run([*pip, "install", "--no-compile", "--constraint", versions, wheel], env=ALONE)
    need(install.returncode == 0, "The client's dependencies cannot be installed: connect to a package index.")
    return environment / "bin"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientStack]:
    with client_stack(tmp_path_factory.mktemp("data")) as running:
        yield running


def test_the_wheel_has_the_client_and_its_stubs_and_is_small(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    names = {name for name in sizes if not name.partition("/")[0].endswith(".dist-info")}
    written = {
        path.relative_to(ROOT / "client").as_posix()
        for path in (ROOT / "client" / "semsearch").rglob("*.py")
        if "_pb2" not in path.name
    }
    generated = {name for name in names if "_pb2" in name}
    assert names - generated == written | {"semsearch/py.typed"}
    folders = {name.rpartition("/")[0] for name in generated}
    assert folders == {"semsearch/v1", "semsearch/access/v1", "semsearch/index/v1"}
    assert sum(sizes.values()) < MAX_BYTES


def test_it_needs_neither_numpy_nor_tensorflow(bin_folder: Path) -> None:
    script = "from importlib.metadata import distributions; print(*(each.name.lower() for each in distributions()))"
    names = set(run(bin_folder / "python", "-c", script).split())
    assert {"semsearch", "grpcio", "protobuf", "typer", "rich"} <= names
    assert not names & {"numpy", "tensorflow", "tensorflow-cpu", "keras", "pillow", "semsearch-suite"}


def test_the_installed_command_says_what_it_can_do(bin_folder: Path) -> None:
    shown = run(bin_folder / "semsearch", "--help")
    assert "Search and tag images by meaning." in shown
    assert all(command in shown for command in ("index", "search", "tag", "words", "list", "delete", "model"))


def test_the_installed_command_and_client_find_images(bin_folder: Path, stack: ClientStack, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for color in ("red", "green"):
        (photos / f"{color}.png").write_bytes(picture(color))
    run(bin_folder / "semsearch", "index", photos, "--server", stack.server)
    script = f"""
import asyncio
from semsearch import AsyncClient, Client

async def search():
    async with AsyncClient({stack.server!r}) as client:
        print((await client.search_by_text("green"))[0].image.name)

with Client({stack.server!r}) as client:
    print(client.search_by_text("red")[0].image.name)
asyncio.run(search())
"""
    assert run(bin_folder / "python", "-c", script) == "red.png\ngreen.png\n"


def test_a_wheel_of_the_suite_would_hold_no_package(tmp_path: Path) -> None:
    with zipfile.ZipFile(build(ROOT, "wheel", tmp_path)) as archive:
        assert {name.partition("/")[0] for name in archive.namelist()} == {"semsearch_suite-0.1.0.dist-info"}
