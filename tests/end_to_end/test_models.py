"""The recipe that ships: its real file comes from a server that breaks off, and the real services switch to it."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from tests.end_to_end.launcher_process import READY, REPOSITORY, launcher, settings
from tests.end_to_end.semsearch_command import semsearch
from tests.file_server import file_server
from tests.needs import SHARED_DATA, need

BUNDLE = REPOSITORY / "starter" / "bundle"
BACKBONE = SHARED_DATA / "mobilenet_v2" / "mobilenet_v2_1.0_224_quant.tflite"
PHOTOS = SHARED_DATA / "photos"


def test_a_network_is_fetched_with_breaks_and_switched_to(tmp_path: Path) -> None:
    need(BACKBONE.exists() and PHOTOS.exists(), f"There is no {BACKBONE} or no photos in {PHOTOS}.")
    gallery = tmp_path / "gallery"
    gallery.mkdir()
    (gallery / "truth.jsonl").touch()
    right = BACKBONE.read_bytes()
    photos = tmp_path / "photos"
    photos.mkdir()
    for photo in sorted(PHOTOS.glob("*.jpg"))[::30]:
        shutil.copy(photo, photos)
    with file_server(right) as server:
        mirror = f"http://127.0.0.1:{server.port}/"
        own = settings(tmp_path / "var", BUNDLE) | {"SEMSEARCH_EMBEDDER_MODEL_MIRROR": mirror}
        address = f"127.0.0.1:{own['SEMSEARCH_GATEWAY_PORT']}"
        with launcher(own, gallery) as started:
            started.wait_for(READY)
            semsearch(address, "index", photos, "--json")

            for content, length, expected in (
                (bytes(len(right)), None, hashlib.sha256(right).hexdigest()),
                (right, len(right) + 1, f"{len(right) + 1:,} bytes"),
            ):
                server.content, server.length = content, length
                wrong = semsearch(address, "model", "pull", "mobilenet-v2", "--json", check=False)
                assert wrong.returncode == 1
                assert json.loads(wrong.stderr)["error"]["reason"] == "DOWNLOAD_WRONG"
                assert expected in wrong.stderr

            server.length, server.breaks, server.requests = None, [1_000_000], []
            pulled = semsearch(address, "model", "pull", "mobilenet-v2", "--json")
            assert json.loads(pulled.stdout.splitlines()[-1])["model"]["id"].startswith("mobilenet-v2@sha256:")
            [first, second] = server.requests
            assert first[0] is None
            assert second[0] is not None

            switched = semsearch(address, "model", "activate", "mobilenet-v2", "--json")
            last = json.loads(switched.stdout.splitlines()[-1])
            assert (last["images_done"], last["images_failed"]) == (len(list(photos.iterdir())), 0)
            found = semsearch(address, "search", "animal", "--min-relevance", "0", "--json")
            assert len(json.loads(found.stdout)["matches"]) == 10
            [dog] = PHOTOS.glob("n02094258_*.jpg")
            tags = json.loads(semsearch(address, "tag", dog, "--json").stdout)["tags"]
            assert {"terrier", "dog", "animal"} <= {tag["word"] for tag in tags}
