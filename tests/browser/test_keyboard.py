"""A whole search by keyboard alone; and what stands in time: the order of the list, before and after a sighting."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.in_process import gated_app
from tests.browser.pages import PATIENCE, answering, chips, choose, opened, say, shown
from tests.serving import Served

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="module")
def served_here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with gated_app(tmp_path_factory.mktemp("keyboard")) as (served, _):
        yield served


@pytest.fixture
def page(browser: Browser, served_here: Served) -> Iterator[Page]:
    page, problems = opened(browser, served_here, viewport={"width": 1440, "height": 900})
    yield page
    page.context.close()
    assert problems == []


def has_focus(page: Page) -> str:
    """The id of the crop, or of the nearest named part, that has the focus."""
    return str(
        page.evaluate(
            "() => document.activeElement.dataset.id || document.activeElement.closest('[id]')?.id || 'body'"
        )
    )


def test_by_keyboard_alone(page: Page) -> None:
    expect(page.locator("#message textarea")).to_be_focused()
    with answering(page):
        page.keyboard.type("a woman in a red jacket")
        page.keyboard.press("Enter")
    page.locator("#start-over").focus()
    page.keyboard.press("c")
    ids = shown(page)
    assert has_focus(page) == ids[0]
    page.keyboard.press("ArrowRight")
    assert has_focus(page) == ids[1]
    page.keyboard.press("ArrowDown")
    below = ids.index(has_focus(page))
    assert below > 2
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")  # there is none before the first
    assert has_focus(page) == ids[0]
    page.keyboard.press("Enter")
    expect(page.locator("#search-with-this")).to_be_enabled()
    page.wait_for_timeout(200)
    assert has_focus(page) == ids[0]  # the grid was drawn anew
    with answering(page):
        page.keyboard.press("n")
    page.wait_for_timeout(200)
    assert ids[0] not in shown(page) and has_focus(page) in shown(page)
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keyboard")
    expect(sheet).to_contain_text("not this one")
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    with answering(page):
        page.keyboard.press("u")
    assert ids[0] in shown(page)
    page.keyboard.press("/")
    page.keyboard.type("say n")  # letters are letters where one types
    expect(page.locator("#message textarea")).to_have_value("say n")
    page.locator("#message textarea").fill("")
    page.locator("#undo").focus()
    with answering(page):
        page.keyboard.press("Enter")
    expect(page.locator("#undo")).to_be_disabled()
    page.wait_for_timeout(200)
    assert has_focus(page) != "body"


def test_the_order_is_a_click_and_a_person_is_followed_in_time(page: Page) -> None:
    say(page, "a woman in a red jacket")
    best = shown(page)
    status = page.locator("#candidates .cr-order [role=status]")
    expect(status).to_contain_text("best fit first")
    page.get_by_role("button", name="Latest").click()
    expect(status).to_contain_text("latest first", timeout=PATIENCE)
    times = page.locator("#candidates .cr-card").evaluate_all("all => all.map(one => one.ariaLabel)")
    moments = [re.findall(r"\d\d:\d\d:\d\d", label)[0] for label in times]
    assert sorted(shown(page)) == sorted(best) and moments == sorted(moments, reverse=True)
    page.get_by_role("button", name="Best fit").click()
    expect(status).to_contain_text("best fit first", timeout=PATIENCE)
    assert shown(page) == best

    choose(page, 0)
    for minutes in ("0", ""):  # a sentence in the chat, as any refusal, and not Gradio's
        page.locator("#around-minutes input").fill(minutes)
        with answering(page):
            page.locator("#after").click()
        expect(page.locator("#chatbot")).to_contain_text("Give 1 to 10,080 minutes.")
        with answering(page):
            page.get_by_role("button", name="Best fit").click()
        expect(page.locator("#chatbot")).not_to_contain_text("Give 1 to")
    page.locator("#around-minutes input").fill("120")
    with answering(page):
        page.locator("#after").click()
    person, camera, span = chips(page)[:3]
    assert person.startswith("person: camera ") and camera.startswith("not camera ") and " to " in span
    own = camera.removeprefix("not ").capitalize()
    assert own not in page.locator("#candidates .cr-place").all_inner_texts()
    with answering(page):
        page.get_by_role("button", name="Drop the filters").click()
    assert [chip for chip in chips(page) if chip != "Drop the filters"] == [person]
