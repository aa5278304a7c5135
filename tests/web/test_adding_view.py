"""A person adds pictures, and keeps collections."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.web.axe import barriers
from tests.web.conftest import GALLERY, OpenPage


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with pictures in two levels, a damaged one, one that the collection has, and a text."""
    place = tmp_path / "holiday"
    (place / "day two").mkdir(parents=True)
    pictures = sorted(GALLERY.glob("*.webp"))
    shutil.copy(pictures[1], place / "first.webp")
    shutil.copy(pictures[2], place / "day two" / "second.webp")
    shutil.copy(pictures[0], place / "known.webp")
    (place / "damaged.webp").write_bytes(pictures[3].read_bytes()[:500])
    (place / "notes.txt").write_text("no picture")
    return place


def test_a_folder_is_added_and_the_result_of_each_file_is_shown(
    scratch: str, open_page: OpenPage, folder: Path
) -> None:
    page = open_page(f"/?view=add&in={scratch}")
    page.locator("input[webkitdirectory]").set_input_files(folder)
    progress = page.locator(".progress")
    expect(progress.get_by_role("status")).to_have_text("2 pictures added · 1 already there · 1 not added")
    expect(progress.get_by_text("holiday/damaged.webp")).to_be_visible()
    expect(progress.locator(".problem")).to_contain_text("cut off or damaged")
    progress.locator("summary", has_text="Already there").click()
    expect(progress.get_by_role("link", name="holiday/known.webp")).to_be_visible()
    expect(progress.locator(".added img")).to_have_count(2)
    expect(page.get_by_text("1 file is no picture and was left out: holiday/notes.txt")).to_be_visible()
    assert barriers(page) == []
    progress.get_by_role("link", name="Show the collection").click()
    expect(page.locator(".tile")).to_have_count(14)


def test_files_can_be_dropped_anywhere_in_the_view(scratch: str, open_page: OpenPage) -> None:
    page = open_page(f"/?view=add&in={scratch}")
    expect(page.get_by_text("Drop pictures or folders here")).to_be_visible()
    content = list(sorted(GALLERY.glob("*.webp"))[5].read_bytes())
    page.evaluate(
        """(content) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(content)], "dropped.webp", {type: "image/webp"}));
          dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
        }""",
        content,
    )
    expect(page.locator(".progress").get_by_role("status")).to_have_text("1 picture added")


def test_collections_are_created_renamed_and_deleted(open_page: OpenPage) -> None:
    page = open_page("/?view=add")
    page.get_by_role("button", name="New collection").click()
    page.get_by_role("textbox", name="Name").fill("Summer 2024")
    expect(page.get_by_text("Its id will be summer-2024.")).to_be_visible()
    assert barriers(page) == []
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("combobox", name="Collection")).to_have_value("summer-2024")
    page.get_by_role("button", name="Rename summer-2024").click()
    page.get_by_role("textbox", name="Name").fill("summer")
    page.get_by_role("button", name="Rename", exact=True).last.click()
    expect(page.get_by_role("button", name="Rename summer", exact=True)).to_be_visible()
    page.get_by_role("button", name="Delete summer", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("0 images deleted.")).to_be_visible()
    expect(page.get_by_role("button", name="Rename summer", exact=True)).to_have_count(0)
