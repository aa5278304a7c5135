"""The default model on real photos, as a person meets them on the page."""

from __future__ import annotations

import csv
import re
import shutil
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.end_to_end.launcher_process import READY, launcher, settings
from tests.needs import SHARED_DATA, need
from tests.web.conftest import OpenPage, Suite

PHOTOS = SHARED_DATA / "photos"
EVERYDAY = SHARED_DATA / "everyday"
# Every second photo, and as many of everyday life.
COUNT = 150
DOGS = range(2_085_620, 2_113_979)  # the ImageNet classes that are breeds of dogs


@pytest.fixture(scope="session")
def captions() -> dict[str, str]:
    """What people wrote about the everyday photos, by file name."""
    need(
        EVERYDAY.is_dir(), f"The photos for tests are not at {SHARED_DATA}; SEMSEARCH_SHARED_DATA says where they are."
    )
    found: dict[str, str] = defaultdict(str)
    with (EVERYDAY / "flickr8k_captions.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            found[row["path"]] += f" {row['caption'].lower()} "
    return found


@pytest.fixture(scope="session")
def suite(captions: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """A suite with the default model, whose gallery is photos."""
    folder = tmp_path_factory.mktemp("photos")
    for photo in sorted(PHOTOS.glob("*.jpg"))[::2]:
        shutil.copy(photo, folder)
    with tarfile.open(EVERYDAY / "flickr8k.tar") as archive:
        for _ in range(COUNT):
            member = archive.next()
            assert member is not None
            archive.extract(member, folder, filter="data")
    own = settings(tmp_path_factory.mktemp("var"), Path("photos"))
    with launcher(own, folder) as running:
        running.wait_for(READY)
        yield Suite.at(own["SEMSEARCH_GATEWAY_HTTP_PORT"], own["SEMSEARCH_GATEWAY_PORT"])


def names(page: Page, count: int) -> list[str]:
    """The file names of the first images."""
    expect(page.locator(".tile").nth(count - 1)).to_be_visible()
    return [(page.locator(".tile img").nth(n).get_attribute("alt") or "").split()[-1] for n in range(count)]


def is_dog(name: str, captions: dict[str, str]) -> bool:
    number = name[1:9]
    return (number.isdigit() and name[0] == "n" and int(number) in DOGS) or " dog" in captions.get(name, "")


def test_photos_are_found_by_what_they_show(open_page: OpenPage, captions: dict[str, str]) -> None:
    page = open_page("/")
    [before] = names(page, 1)
    page.get_by_role("searchbox").fill("dog")
    expect(page.locator(".tile img").first).not_to_have_attribute("alt", re.compile(re.escape(before)))
    found = names(page, 10)
    assert sum(is_dog(name, captions) for name in found) >= 9, found


def test_a_photo_keeps_its_proportions(open_page: OpenPage) -> None:
    page = open_page("/")
    names(page, 10)
    page.wait_for_load_state("networkidle")
    for image in page.locator(".tile img").all()[:10]:
        shown = image.bounding_box()
        natural = image.evaluate("(image) => image.naturalWidth / image.naturalHeight")
        assert shown is not None
        assert shown["width"] / shown["height"] == pytest.approx(natural, rel=0.05)


def test_a_photo_is_named_and_leads_to_others_like_it(open_page: OpenPage, captions: dict[str, str]) -> None:
    page = open_page("/?q=dog")
    names(page, 10)
    page.locator(".tile-link").first.click()
    viewer = page.get_by_role("dialog")
    expect(viewer.locator(".ranking-word", has_text="dog").first).to_be_visible()
    expect(viewer.locator(".nearest img")).to_have_count(9)
    like = [image.get_attribute("alt") or "" for image in viewer.locator(".nearest img").all()]
    assert sum(is_dog(name, captions) for name in like) >= 7, like
