"""The guides, as people follow them: every command in the order of the page, on real photos if there are any.

Blocks marked ```sh are run. Blocks marked ```sh network need the publishers' servers, and those marked ```sh machines
several machines: they are not run, and other tests cover their commands. Blocks marked ```sh services are run while the
services of `make run-all` are running.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path

from PIL import Image

from tests.end_to_end.launcher_process import READY, REPOSITORY, environment, launcher, settings
from tests.needs import SHARED_DATA, need

SECONDS = 300.0
GUIDE = REPOSITORY / "docs" / "guides" / "train-your-own.md"
OPERATE_GUIDE = REPOSITORY / "docs" / "guides" / "operate.md"
LIMITS_GUIDE = REPOSITORY / "docs" / "guides" / "limit-callers.md"
TOOLS = REPOSITORY / ".tools" / "bin"
PHOTOS = SHARED_DATA / "tiny-imagenet"
CLASSES = ("king penguin", "school bus", "banana", "jellyfish", "sunglasses", "lion")
TRAINING, UNSEEN = 20, 8


def lay_out_photos(folder: Path) -> None:
    names = {key: words.split(",")[0] for key, words in json.loads((PHOTOS / "classes.json").read_text()).items()}
    for side, archive, most in (("training", "train-09.tar", TRAINING), ("unseen", "val.tar", UNSEEN)):
        taken: Counter[str] = Counter()
        with tarfile.open(PHOTOS / archive) as members:
            for member in members:
                name = names.get(member.name.split("/")[0], "")
                if name in CLASSES and taken[name] < most and (content := members.extractfile(member)):
                    taken[name] += 1
                    file = folder / side / name / Path(member.name).name
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(content.read())


def lay_out_rendered(folder: Path) -> None:
    """Lay out images of the gallery that ships, whose file names are labels and numbers."""
    taken: Counter[str] = Counter()
    for file in sorted((REPOSITORY / "starter" / "gallery").rglob("*.webp")):
        label = file.stem.rsplit("-", 1)[0]
        taken[label] += 1
        target = folder / ("unseen" if taken[label] % 4 == 0 else "training") / label / f"{file.stem}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.open(file).save(target)
    first = sorted(taken)[0]
    for side in ("training", "unseen"):  # the guide asks for penguins
        (folder / side / first).rename(folder / side / "king penguin")


def blocks(guide: Path, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", guide.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def follow(script: str, folder: Path, own: dict[str, str]) -> str:
    path = f"{Path(sys.executable).parent}:{TOOLS}:/usr/bin:/bin"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=environment(own) | {"PATH": path},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{script}\n{done.stdout}"
    return done.stdout


def test_the_guide_from_pictures_to_a_search(tmp_path: Path) -> None:
    (lay_out_photos if PHOTOS.exists() else lay_out_rendered)(tmp_path / "pictures")
    (tmp_path / "starter").symlink_to(REPOSITORY / "starter")
    gallery = tmp_path / "gallery"
    gallery.mkdir()
    (gallery / "truth.jsonl").touch()
    own = settings(tmp_path / "var", REPOSITORY / "starter" / "bundle")
    own["SEMSEARCH_CLIENT_SERVER"] = f"127.0.0.1:{own['SEMSEARCH_GATEWAY_PORT']}"

    commands = blocks(GUIDE, "sh")
    assert len(commands) == 5
    printed = [follow(script, tmp_path, own) for script in commands]
    assert "things@sha256:" in printed[3]
    assert {"curves.png", "confusion.png", "run.json", "metrics.jsonl"} <= {
        file.name for file in (tmp_path / "runs" / "first").iterdir()
    }
    assert (tmp_path / "runs" / "report" / "report.md").exists()
    with launcher(own, gallery) as started:
        started.wait_for(READY)
        [searches] = blocks(GUIDE, "sh services")
        assert "king penguin" in follow(searches, tmp_path, own)
        found = follow('semsearch search -c mine "king penguin" --json', tmp_path, own)
    matches = json.loads(found)["matches"]
    assert matches[0]["image"]["attributes"]["folder"] == "king penguin"


def test_the_guide_to_limits(tmp_path: Path) -> None:
    need((TOOLS / "grpcurl").exists(), "There is no grpcurl: `make grpcurl` builds it.")
    [export], [show] = blocks(LIMITS_GUIDE, "sh"), blocks(LIMITS_GUIDE, "sh services")
    quotas = dict(line.partition("=")[::2] for line in shlex.split(export.replace("export ", "")))
    own = settings(tmp_path / "var", REPOSITORY / "starter" / "bundle") | quotas
    server = f"127.0.0.1:{own['SEMSEARCH_GATEWAY_PORT']}"
    gallery = tmp_path / "gallery"
    gallery.mkdir()
    (gallery / "truth.jsonl").touch()
    with launcher(own, gallery) as started:
        started.wait_for(READY)
        printed = follow(show.replace("localhost:50051", server), tmp_path, {"SEMSEARCH_CLIENT_SERVER": server})
    rates = [quota.partition("/")[0] for quota in quotas.values()]
    assert len(rates) == 3
    assert all(f"{rate} a second" in printed and f'"perSecond": {rate},' in printed for rate in rates), printed


def test_the_guide_to_the_first_exposure(tmp_path: Path) -> None:
    """Its last step, from a folder that has what a caller gets: the authority, the callers' certificate, a token."""
    need(bool(shutil.which("curl")), "There is no curl.")
    host, outside, gallery = socket.gethostname(), tmp_path / "outside", tmp_path / "gallery"
    for folder in (outside, gallery):
        folder.mkdir()
    for file in (REPOSITORY / "starter" / "gallery").glob("*-00.webp"):
        shutil.copy(file, gallery)
    own = settings(tmp_path / "var", REPOSITORY / "starter" / "bundle")
    [exposed], [look] = blocks(OPERATE_GUIDE, "sh exposed"), blocks(OPERATE_GUIDE, "sh outside")
    for name, value in re.findall(
        r"(SEMSEARCH_\w+)=(\S+)", exposed.replace("photos.example", host).replace("/srv/", f"{tmp_path}/")
    ):
        own[name] = str(tmp_path / value) if value.startswith(("certs/", "var/")) else value
    follow(f"semsearch certs make --host {host}", tmp_path, own)
    token, *_ = follow("semsearch token create ann --role read", tmp_path, own).splitlines()
    for name in ("ca.crt", "client.crt", "client.key"):
        shutil.copy(tmp_path / "certs" / name, outside)
    look = look.replace("semsearch_…", token).replace("photos.example", host)
    look = look.replace("50051", own["SEMSEARCH_GATEWAY_PORT"]).replace("8080", own["SEMSEARCH_GATEWAY_HTTP_PORT"])
    certificates, refused, give_token, found, page = look.splitlines()
    with launcher(own, gallery) as started:
        started.wait_for(READY)
        assert "the call has no token" in follow(f"{certificates}; ! {refused}", outside, {})
        assert "boat-00.webp" in follow(f"{certificates}; {give_token}; {found}", outside, {})
        assert "<html" in follow(page, outside, {})


def test_the_guide_from_captions_to_a_measured_model(tmp_path: Path) -> None:
    lay_out_rendered(tmp_path / "pictures")
    lines = ["path,caption"]
    with tarfile.open(tmp_path / "pictures.tar", "w") as tar:
        for number, file in enumerate(sorted((tmp_path / "pictures" / "training").rglob("*.png"))[:200]):
            name = f"{number:05}_{file.name}"
            tar.add(file, name)
            lines += [f"{name},A {file.parent.name} .", f'{name},"Here, a {file.parent.name}"']
    (tmp_path / "captions.csv").write_text("\n".join(lines))
    (tmp_path / "starter").symlink_to(REPOSITORY / "starter")
    (tmp_path / "unseen").symlink_to(tmp_path / "pictures" / "unseen")
    *make, measure = blocks(GUIDE, "sh captions")
    for command in make:
        follow(command, tmp_path, {})
    printed = follow(measure, tmp_path, {})
    assert "captioned@sha256" in printed
    assert "R@10" in printed
    assert "of 200 pictures" in " ".join(printed.split())
