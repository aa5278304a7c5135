"""`semsearch ingest` and `trainer features --ray` with two Ray workers on this machine, and the guide to them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from semsearch import Client, NotFound
from semsearch.ingest.manifest import Manifest
from semsearch.ingest.places import place_of

from tests.end_to_end.test_guides import blocks
from tests.needs import need_ray
from tests.own_bundle import done
from tests.services.client_stack import semsearch, wait_until_serving
from tests.services.embedder_process import embedder_process
from tests.services.service_process import service_process
from trainer.backbones.building import build_backbone, save_backbone

ROOT = Path(__file__).parents[2]
GALLERY = ROOT / "starter" / "gallery"
GUIDE = ROOT / "docs" / "guides" / "bulk.md"
BIN = Path(sys.executable).parent
SECONDS = 300.0
FILES, FILES_A_SHARD = 240, 8


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster of one machine with two cores; `environment` lets processes in."""

    address: str
    process: psutil.Popen
    environment: dict[str, str]

    def workers(self) -> list[psutil.Process]:
        """Return the processes that run a worker of a pipeline."""
        found = []
        for each in self.process.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if "_Worker" in " ".join(each.cmdline()):
                    found.append(each)
        return found

    def run(self, *command: object, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program that uses the cluster; in a process of its own, because Ray leaves files open."""
        return subprocess.run(
            [*map(str, command), "--ray", self.address, "--workers", "2"],
            env={**os.environ, **self.environment, **variables}, text=True, capture_output=True, timeout=SECONDS,
        )  # fmt: skip


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """One cluster for the module: starting it takes some five seconds."""
    need_ray()
    # By itself Ray has its workers yield to every other process, so they would starve beside other tests.
    environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_worker_niceness": "0"}
    with (
        tempfile.TemporaryDirectory(prefix="ray-") as folder,  # sockets want short paths
        psutil.Popen(
            [
                BIN / "ray", "start", "--head", "--block", "--port=0", "--min-worker-port=0", "--max-worker-port=0",
                f"--temp-dir={folder}", "--num-cpus=2",
                "--object-store-memory=100000000", "--include-dashboard=false", "--disable-usage-stats",
            ],
            env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        ) as process,
    ):  # fmt: skip
        lines: list[str] = []
        try:
            for line in process.stdout:
                lines.append(line)
                if found := re.search(r"ray start --address='(.+)'", line):
                    break
            else:
                pytest.fail("".join(lines))
            yield Cluster(found[1], process, environment)
        finally:
            process.terminate()
            process.communicate(timeout=SECONDS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway with the model `tiny`."""
    data = tmp_path_factory.mktemp("data")
    with (
        embedder_process(data, ROOT / "starter" / "bundle") as embedder,
        service_process("index_service", data) as index,
        service_process("gateway", data, f"--embedder={embedder.address}", f"--index={index.address}") as gateway,
    ):
        wait_until_serving(gateway.address)
        yield gateway.address


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Images of the gallery that ships, in folders."""
    folder = tmp_path / "photos"
    for number, file in enumerate(sorted(GALLERY.glob("*.webp"))[:FILES]):
        (folder / f"{number % 7}").mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder / f"{number % 7}" / file.name)
    return folder


@dataclass
class Ingest:
    """Runs the command on the cluster."""

    cluster: Cluster
    server: str
    photos: Path
    manifest: Path

    stored_when_killed: int = 0

    def __call__(self, collection: str) -> tuple[int, dict[str, int]]:
        command = [BIN / "semsearch", "ingest", self.photos, "--manifest", self.manifest, "-c", collection, "--json"]
        ended = self.cluster.run(*command, SEMSEARCH_CLIENT_SERVER=self.server)
        assert ended.stdout, ended.stderr
        return ended.returncode, json.loads(ended.stdout)

    def kill_a_worker(self, collection: str) -> None:
        """Kill a worker once images are stored; stopped first, so that it cannot end what it has begun."""
        deadline = time.monotonic() + SECONDS
        with Client(self.server) as client:
            while time.monotonic() < deadline and not self.stored_when_killed:
                with contextlib.suppress(NotFound):
                    if client.count_images(collection=collection):
                        [victim, *_] = self.cluster.workers()
                        victim.suspend()
                        self.stored_when_killed = client.count_images(collection=collection)
                        victim.kill()
                time.sleep(0.005)


@pytest.fixture
def ingest(cluster: Cluster, server: str, photos: Path, tmp_path: Path) -> Ingest:
    return Ingest(cluster, server, photos, tmp_path / "manifest")


def test_a_killed_worker_loses_no_image_and_adds_none_twice(ingest: Ingest) -> None:
    photos, manifest = ingest.photos, ingest.manifest
    shutil.copy(next(photos.rglob("*.webp")), photos / "zz-copy.webp")
    (photos / "damaged.webp").write_bytes(b"no image")
    with Manifest(manifest, str(photos), "c") as opened:
        assert opened.list_files(place_of(str(photos)).files(), FILES_A_SHARD) == FILES + 2
    stored = threading.Thread(target=ingest.kill_a_worker, args=("c",))
    stored.start()
    status, counts = ingest("c")
    stored.join(SECONDS)
    assert 0 < ingest.stored_when_killed < FILES
    assert (status, counts["failed"]) == (1, 1)
    assert counts["added"] + counts["already_there"] == FILES + 1
    failed = manifest.with_name("manifest.failed.tsv")
    assert failed.read_text().startswith("damaged.webp\tThe bytes are not a supported image")
    with Client(ingest.server) as client:
        assert len({image.sha256 for image in client.list_images(collection="c")}) == FILES
        assert client.count_images(collection="c") == FILES
    # One file is repaired and another is new; the next run sends no others.
    for number, name in enumerate(("damaged.webp", "new.webp")):
        shutil.copy(sorted(GALLERY.glob("*.webp"))[FILES + number], photos / name)
    assert ingest("c") == (0, {"added": 2, "already_there": 0, "failed": 0})
    assert not failed.exists()
    # The images are as if the folder had been indexed.
    summary = semsearch(ingest.server, "sync", photos, "-c", "c", "--delete", "--json").lines[-1]["summary"]
    assert {name: count for name, count in summary.items() if count} == {"unchanged": FILES + 2, "duplicate": 1}


def test_features_are_the_same_to_the_bit_and_go_on_where_they_were(cluster: Cluster, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(200):
        file = tmp_path / "images" / ("cat" if number % 2 else "dog") / f"{number:03}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(file)
    (tmp_path / "images" / "cat" / "damaged.png").write_bytes(b"no image")
    shutil.copy(tmp_path / "images" / "cat" / "001.png", tmp_path / "images" / "cat" / "copy.png")
    save_backbone(build_backbone("mobilenetv3-small", "random", input_size=32), tmp_path / "backbone.keras")

    def features(name: str) -> list[str]:
        cache = tmp_path / name / "cache"
        where = ["--out", str(tmp_path / name), "--cache", str(cache)]
        return ["features", str(tmp_path / "images"), "--backbone", str(tmp_path / "backbone.keras"), *where]

    done(*features("here"))
    [here] = (tmp_path / "here" / "cache").iterdir()
    # As if a run had been killed after its first batch and a part of the second.
    ray = tmp_path / "ray" / "cache" / here.name
    shutil.copytree(here, ray)
    row = (here / "rows.bin").stat().st_size // 200
    with (ray / "rows.bin").open("r+b") as rows, (ray / "keys.bin").open("r+b") as keys:
        rows.truncate(70 * row)
        keys.truncate(64 * 32)
    ended = cluster.run(sys.executable, "-m", "trainer", *features("ray"))
    assert ended.returncode == 0, ended.stderr
    for file in ("rows.bin", "keys.bin"):
        assert (ray / file).read_bytes() == (here / file).read_bytes()
    assert (tmp_path / "ray" / "unreadable.txt").read_text() == (tmp_path / "here" / "unreadable.txt").read_text()


def test_the_commands_of_the_guide_run_without_a_cluster(server: str, tmp_path: Path) -> None:
    need_ray()
    for number, file in enumerate(sorted(GALLERY.glob("*.webp"))[:8]):
        for copy in (tmp_path / "photos" / file.name, tmp_path / "labelled" / f"{number % 2}" / file.name):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
    shutil.copy(file, tmp_path / "photos" / "copy.webp")
    save_backbone(build_backbone("mobilenetv3-small", "random", input_size=32), tmp_path / "backbone.keras")

    def follow(script: str) -> str:
        variables = {"HOME": str(tmp_path), "PATH": f"{BIN}:/usr/bin:/bin", "SEMSEARCH_CLIENT_SERVER": server}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path, env={**os.environ, **variables, "RAY_worker_niceness": "0"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{script}\n{done.stdout}"
        return done.stdout

    [ingest] = blocks(GUIDE, "sh services")
    [shown] = blocks(GUIDE, "text")
    printed = follow(ingest)
    for as_shown, here in (("401", "9"), ("400", "8"), ("/home/me", str(tmp_path))):
        shown = shown.replace(as_shown, here)
    assert all(line in printed for line in shown.splitlines()), printed
    [features] = blocks(GUIDE, "sh")
    assert "8 images of 2 classes" in follow(features)


def test_a_cluster_that_is_not_there_is_one_sentence(server: str, tmp_path: Path) -> None:
    need_ray()
    (tmp_path / "a.png").write_bytes(b"a")
    options = ["--manifest", tmp_path / "manifest", "--ray", "127.0.0.1:1"]
    ended = semsearch(server, "ingest", tmp_path, *options)
    assert ended.status == 1
    assert "No Ray cluster answers at 127.0.0.1:1" in ended.err
    assert "1 file left" in ended.err
