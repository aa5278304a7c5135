"""A person logs in with a token, does what it allows, and logs out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, expect

from tests.unit.serving.access.made_tokens import MadeTokens
from tests.web.axe import barriers
from tests.web.conftest import OpenPage, Suite, started, until

SECONDS = 30.0
# What the browser reports for each call that the server refuses.


@dataclass(frozen=True)
class Guarded:
    """A suite that knows its callers, and a token of each role."""

    suite: Suite
    made: MadeTokens
    reader: str
    admin: str


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    made = MadeTokens(tmp_path_factory.mktemp("access"))
    reader, admin = made.add("rea", "read"), made.add("ada", "admin")
    with started(tmp_path_factory.mktemp("var"), SEMSEARCH_TOKENS=str(made.path)) as suite:
        yield Guarded(suite, made, reader, admin)


@pytest.fixture
def refusals() -> str:
    return "40[013]"


@pytest.fixture
def open_guarded(guarded: Guarded, open_at: OpenPage) -> OpenPage:
    return lambda path="/": open_at(f"{guarded.suite.web}{path}")


def log_in(page: Page, token: str) -> None:
    dialog = page.get_by_role("dialog", name="Log in")
    dialog.get_by_label("Token").fill(token)
    dialog.get_by_role("button", name="Log in").click()


def log_in_until_known(page: Page, token: str) -> None:
    """Log in with a token that the server reads from its file in a moment."""
    deadline = time.monotonic() + SECONDS
    dialog = page.get_by_role("dialog", name="Log in")
    log_in(page, token)
    while dialog.count():
        assert time.monotonic() < deadline
        page.wait_for_timeout(100)
        if dialog.get_by_role("alert").count():
            log_in(page, token)


def test_the_page_asks_for_a_token_and_shows_nothing_before(open_guarded: OpenPage) -> None:
    page = open_guarded("/?q=boat")
    dialog = page.get_by_role("dialog", name="Log in")
    expect(dialog.get_by_text("answers only people that it knows")).to_be_visible()
    expect(dialog.get_by_role("alert")).to_have_count(0)
    expect(dialog.get_by_label("Token")).to_be_focused()
    expect(page.locator(".tile")).to_have_count(0)
    assert barriers(page) == []
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("main")).to_have_text("Log in to see what is hereLog in")
    expect(page.get_by_role("button", name="Log out")).to_have_count(0)
    assert barriers(page) == []
    page.get_by_role("button", name="Log in").click()
    expect(dialog).to_be_visible()


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        ("semsearch_000000000000_wrong", "The token is not one that this server knows"),
        ("two words", "A token has no spaces"),
    ],
)
def test_a_wrong_token_is_answered_with_a_sentence(open_guarded: OpenPage, token: str, sentence: str) -> None:
    page = open_guarded()
    log_in(page, token)
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text(sentence)
    expect(page.locator(".tile")).to_have_count(0)
    assert page.context.cookies() == []
    assert barriers(page) == []


def test_a_right_token_shows_results_and_pictures_and_no_script_can_read_the_cookie(
    guarded: Guarded, open_guarded: OpenPage
) -> None:
    page = open_guarded("/?q=boat")
    log_in(page, guarded.reader)
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator(".tile").first).to_be_visible()
    until(page, "document.querySelector('.tile img').naturalWidth > 0")
    [cookie] = page.context.cookies()
    facts = (cookie["httpOnly"], cookie["sameSite"], cookie["path"], cookie["expires"])
    assert facts == (True, "Strict", "/images", -1)
    assert page.evaluate("document.cookie") == ""
    page.reload()
    expect(page.locator(".tile").first).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_person_who_may_only_read_is_offered_nothing_else(guarded: Guarded, open_guarded: OpenPage) -> None:
    page = open_guarded("/?q=boat")
    log_in(page, guarded.reader)
    page.locator(".tile").first.hover()
    page.locator(".tile-check").first.click()
    selection = page.get_by_role("region", name="Selection")
    expect(selection.get_by_role("button", name="Export")).to_be_visible()
    for name in ("Tag", "Delete"):
        expect(selection.get_by_role("button", name=name)).to_have_count(0)
    page.keyboard.press("Delete")
    expect(page.get_by_text("1 selected")).to_be_visible()

    page.get_by_role("link", name="Add").click()
    expect(page.get_by_text("Your token is for searching.")).to_be_visible()
    expect(page.get_by_role("main").get_by_role("button")).to_have_count(0)
    page.get_by_role("link", name="Models").click()
    expect(page.locator(".model.active")).to_be_visible()
    expect(page.get_by_role("main").get_by_role("button")).to_have_count(0)
    page.get_by_role("link", name="Map").click()
    expect(page.get_by_role("main").get_by_role("alert")).to_contain_text("There is no map of this collection yet")
    expect(page.get_by_role("main").get_by_role("button")).to_have_count(0)
    assert barriers(page) == []


def test_what_the_server_refuses_is_answered_with_its_sentence(guarded: Guarded, open_guarded: OpenPage) -> None:
    token = guarded.made.add("wri", "write", "trip")
    page = open_guarded("/?view=add")
    log_in_until_known(page, token)
    page.get_by_role("button", name="New collection").click()
    page.get_by_role("textbox", name="Name").fill("holiday")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text('is for the collection "trip" only')


def test_an_admin_is_offered_everything(guarded: Guarded, open_guarded: OpenPage) -> None:
    page = open_guarded("/?view=add")
    log_in(page, guarded.admin)
    for name in ("Choose pictures", "New collection", "Empty gallery"):
        expect(page.get_by_role("button", name=name)).to_be_visible()
    page.get_by_role("link", name="Models").click()
    expect(page.get_by_role("button", name="Get")).not_to_have_count(0)


def test_a_person_who_logs_out_leaves_nothing_behind(guarded: Guarded, open_guarded: OpenPage) -> None:
    page = open_guarded("/?q=boat")
    log_in(page, guarded.reader)
    image = page.locator(".tile img").first.get_attribute("src")
    assert page.request.get(f"{guarded.suite.web}{image}").ok
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("dialog", name="Log in")).to_be_visible()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_have_count(0)
    assert page.context.cookies() == []
    assert guarded.reader not in page.evaluate("JSON.stringify({...sessionStorage, ...localStorage})")
    assert page.request.get(f"{guarded.suite.web}{image}").status == 401
    page.go_back()
    expect(page.locator(".tile")).to_have_count(0)


def test_a_revoked_token_ends_the_visit_with_its_reason(guarded: Guarded, open_guarded: OpenPage) -> None:
    token = guarded.made.add("tem", "read")
    page = open_guarded("/?q=boat")
    log_in_until_known(page, token)
    expect(page.locator(".tile").first).to_be_visible()
    del guarded.made.file.tokens[-1]
    guarded.made.write()
    dialog = page.get_by_role("dialog", name="Log in")
    deadline = time.monotonic() + SECONDS
    words = "cat"
    while dialog.count() == 0:
        assert time.monotonic() < deadline
        words += " cat"  # what was searched for before is not asked for again
        page.get_by_role("searchbox").fill(words)
        page.wait_for_timeout(100)
    expect(dialog.get_by_role("alert")).to_contain_text("was mistyped or revoked")
    expect(page.locator(".tile")).to_have_count(0)
    log_in(page, guarded.reader)
    expect(dialog).to_have_count(0)
