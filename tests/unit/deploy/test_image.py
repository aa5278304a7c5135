"""The Dockerfile: linted, and with all that the services need, and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import grimp

from tests.unit.deploy.manifests import DEPLOY, DOCKERFILE, ROOT, SETTINGS

FROM_BUILD = re.compile(r"^COPY --from=build /app/(\S+) (\S+)$", re.MULTILINE)
OURS = ("embedder_service", "gateway", "index_service", "launcher", "model", "serving", "trainer")


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    result = subprocess.run(
        [hadolint, "--config", DEPLOY / "hadolint.yaml", DEPLOY / "Dockerfile"], capture_output=True, text=True
    )
    assert (result.returncode, result.stdout) == (0, "")


def test_the_image_has_the_packages_that_the_services_import() -> None:
    graph = grimp.build_graph(*OURS, include_external_packages=False)
    needed = set(SETTINGS)
    for package in SETTINGS:
        for module in graph.find_descendants(package) | {package}:
            needed |= {each.partition(".")[0] for each in graph.find_upstream_modules(module)}
    copied = {source for source, _ in FROM_BUILD.findall(DOCKERFILE)}
    assert {each for each in copied if each in OURS} == needed


def test_what_is_copied_keeps_its_place_and_is_not_ignored() -> None:
    ignore = [
        line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line and line[0] != "#"
    ]
    kept = [line.removeprefix("!/") for line in ignore if line.startswith("!/")]
    assert ignore[0] == "*"
    assert all((ROOT / each).exists() for each in kept)
    for source, target in FROM_BUILD.findall(DOCKERFILE):
        assert source == target
        assert source == ".venv" or ((ROOT / source).exists() and source.partition("/")[0] in kept)
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for source in line.split():
            assert (ROOT / source).exists()
            assert any(fnmatch(source, f"{each}*") for each in kept) or source == "."


def test_nothing_runs_as_root() -> None:
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", DOCKERFILE.rpartition("\nFROM ")[2], re.MULTILINE)
