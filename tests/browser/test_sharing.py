"""A case that one operator shares with another, in two browsers."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.in_process import gated_app
from tests.browser.pages import PATIENCE, answering, choose, say
from tests.serving import Served

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def logged_in(browser: Browser, served: Served, user: str) -> Page:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(PATIENCE)
    page.request.post(f"{served.url}login", form={"username": user, "password": "word"})
    page.goto(served.url)
    expect(page.locator("#message textarea")).to_be_editable(timeout=PATIENCE)
    return page


def menu(page: Page) -> None:
    page.locator("#cases details").evaluate("one => { one.open = true; }")


def test_a_case_is_shared_gone_on_with_by_the_other_and_shared_no_longer(
    browser: Browser, tmp_path: Path
) -> None:
    (tmp_path / "users").write_text("ann:word\nbob:word\n")
    with gated_app(tmp_path, login=str(tmp_path / "users")) as (served, _):
        ann, bob = logged_in(browser, served, "ann"), logged_in(browser, served, "bob")
        ann.locator("#reason input, #reason textarea").fill("a lost child")
        say(ann, "a woman in a red jacket")
        menu(ann)
        ann.get_by_label("Share this case with").fill("nobody")
        ann.get_by_role("button", name="Share", exact=True).click()
        expect(ann.locator("#chatbot")).to_contain_text("There is no user “nobody”", timeout=PATIENCE)
        menu(ann)
        ann.get_by_label("Share this case with").fill("bob")
        ann.get_by_role("button", name="Share", exact=True).click()
        expect(ann.get_by_label("Shared with")).to_contain_text("bob", timeout=PATIENCE)

        bob.reload()
        menu(bob)
        line = bob.get_by_label("Your cases").get_by_role("link", name="a woman in a red jacket")
        expect(line).to_contain_text("ann’s", timeout=PATIENCE)
        line.click()
        expect(bob.locator("#chatbot")).to_contain_text("a woman in a red jacket", timeout=PATIENCE)
        expect(bob.locator("#reason input, #reason textarea")).to_have_value("a lost child", timeout=PATIENCE)
        choose(bob, 0)
        with answering(bob):
            bob.locator("#confirm").click()
        expect(bob.locator("#chatbot .user").last).to_contain_text("bob", timeout=PATIENCE)

        say(ann, "with a backpack")  # shows what bob did, and who
        expect(ann.locator(".cr-sighting")).to_have_count(1, timeout=PATIENCE)
        expect(ann.locator("#chatbot .user", has_text="This is the one")).to_contain_text("bob")
        menu(ann)
        ann.get_by_role("button", name="Stop sharing with bob").click()
        expect(ann.get_by_label("Shared with")).to_have_count(0, timeout=PATIENCE)

        bob.locator("#message textarea").fill("only camera 2")
        bob.keyboard.press("Enter")
        expect(bob.locator("#chatbot")).to_contain_text("There is no such case of yours", timeout=PATIENCE)
        expect(bob.locator("#candidates .cr-card")).to_have_count(0, timeout=PATIENCE)
        expect(bob.locator("#reason input, #reason textarea")).to_have_value("", timeout=PATIENCE)
        expect(bob.locator("#message textarea")).to_have_value("only camera 2", timeout=PATIENCE)
        for page in (ann, bob):
            page.context.close()
