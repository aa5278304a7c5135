"""The guide and the README name files and objects that exist."""

from __future__ import annotations

import re

from tests.unit.deploy.manifests import DEPLOY, ROOT, SETTINGS, composed, of_kind, ports

GUIDE = (ROOT / "docs" / "guides" / "deploy.md").read_text(encoding="utf-8")
README = (DEPLOY / "README.md").read_text(encoding="utf-8")


def test_files_in_the_guide_exist() -> None:
    named = re.findall(r"(?<![\w/.])(?:\.\./)?(deploy/[\w./*-]+\w)", GUIDE)
    assert len(named) > 5
    assert [each for each in named if not [*ROOT.glob(each)]] == []


def test_the_readme_describes_every_part() -> None:
    named = {
        each.partition("/")[0]
        for line in re.findall(r"^\| (`.+?) \|", README, re.MULTILINE)
        for each in re.findall(r"`([^`]+)`", line)
    }
    assert {each.name for each in DEPLOY.iterdir()} - {"README.md"} <= named


def test_objects_and_volumes_in_the_guide_exist() -> None:
    (forwarded,) = re.findall(r"port-forward service/([\w-]+) (\d+) (\d+)", GUIDE)
    own = ports(SETTINGS["gateway"])
    assert forwarded[0] in of_kind("Service")
    assert [int(port) for port in forwarded[1:]] == [own["grpc"], own["http"]]
    (volumes,) = re.findall(r"Data\s+is in the volumes (.+?)\.", GUIDE)
    assert {*re.findall(r"`(\w+)`", volumes)} == {*composed()["volumes"]}
