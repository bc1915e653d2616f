"""Messages and clicks while a search is under way, and what is typed: they wait, all count, and outlive a reload."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from playwright.sync_api import Browser, Page, expect

from tests.browser.in_process import Gate, gated_app
from tests.browser.pages import PATIENCE, answering, becomes, chips, choose, opened, say, settled
from tests.serving import Served

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Gate]]:
    with gated_app(tmp_path_factory.mktemp("waiting")) as both:
        yield both


@pytest.fixture
def gate(held: tuple[Served, Gate]) -> Iterator[Gate]:
    yield held[1]
    held[1].open()


@pytest.fixture
def page(browser: Browser, held: tuple[Served, Gate], gate: Gate) -> Iterator[Page]:
    page, problems = opened(browser, held[0], viewport={"width": 1440, "height": 900})
    yield page
    gate.open()
    page.context.close()
    assert [one for one in problems if not is_of_a_reload(one)] == []


def is_of_a_reload(problem: str) -> bool:
    """Gradio's own words on a stream that a reload ends."""
    return "AbortError" in problem or "Connection errored out" in problem


def send(page: Page, text: str) -> None:
    """Without waiting for an answer; the field is free again."""
    page.locator("#message textarea").fill(text)
    page.keyboard.press("Enter")
    expect(page.locator("#message textarea")).to_have_value("", timeout=PATIENCE)
    expect(page.locator("#chatbot .user").last).to_contain_text(text, timeout=PATIENCE)


def is_idle(page: Page) -> None:
    expect(page.locator("#stop")).to_be_disabled(timeout=PATIENCE)
    settled(page)


def said(page: Page) -> list[str]:
    return [text.strip() for text in page.locator("#chatbot .user .prose").all_inner_texts()]


def test_messages_sent_meanwhile_wait_their_turn_in_order(page: Page, gate: Gate) -> None:
    gate.close()
    send(page, "a woman in a red jacket")
    send(page, "with a backpack")
    send(page, "only camera 2")
    waiting = page.locator("#chatbot .bot", has_text="Waits for its turn")
    expect(waiting).to_have_count(2)
    expect(page.locator("#sent")).to_contain_text("2 messages wait")
    gate.open()
    expect(page.locator("#chips")).to_contain_text("camera 2", timeout=PATIENCE)
    is_idle(page)
    becomes(said, page, ["a woman in a red jacket", "with a backpack", "only camera 2"])
    becomes(chips, page, ["woman", "red jacket", "backpack", "camera 2"])
    expect(waiting).to_have_count(0)


def test_quick_clicks_on_undo_and_redo_all_count(page: Page, gate: Gate) -> None:
    for text in ("a man", "in a black coat", "with a hat", "only camera 1"):
        say(page, text)
    gate.close()
    for _ in range(3):
        page.locator("#undo").click()
    gate.open()
    expect(page.locator("#chatbot .user")).to_have_count(1, timeout=PATIENCE)
    is_idle(page)
    becomes(chips, page, ["man"])
    for _ in range(3):
        page.locator("#redo").click()
    expect(page.locator("#chips")).to_contain_text("camera 1", timeout=PATIENCE)
    expect(page.locator("#redo")).to_be_disabled(timeout=PATIENCE)
    assert len(said(page)) == 4


def test_quick_removals_from_the_board_and_notes_all_count(page: Page, gate: Gate) -> None:
    say(page, "a man")
    for place in (0, 1):
        choose(page, place)
        with answering(page):
            page.locator("#confirm").click()
    dialog, noted = page.locator("dialog[open]"), page.locator(".cr-sighting-note")
    gate.close()
    send(page, "with a hat")
    for place in (0, 1):
        page.locator(".cr-sighting").nth(place).click()
        dialog.locator("textarea").fill(f"<i>note</i> *{place}*")
        dialog.locator("[type=submit]").click()
    gate.open()
    expect(noted).to_have_text(["<i>note</i> *0*", "<i>note</i> *1*"], timeout=PATIENCE)
    expect(page.locator("#chatbot .user .prose").last).to_have_text(
        "Note on a sighting: “<i>note</i> *1*”", timeout=PATIENCE
    )
    gate.close()
    send(page, "with a suitcase")
    for place in (0, 1):
        page.locator(".cr-sighting").nth(place).click()
        dialog.locator("[data-take-off]").click()
    gate.open()
    expect(page.locator(".cr-sighting")).to_have_count(0, timeout=PATIENCE)
    is_idle(page)


def test_a_reload_drops_nothing_that_was_sent(page: Page, gate: Gate) -> None:
    """The first message of a new case, which has no address yet, and those that wait behind it."""
    gate.close()
    send(page, "a woman in a blue coat")
    send(page, "with a hat")
    page.locator("#message textarea").fill("not sent ye")
    page.reload()
    expect(page.locator("#chatbot")).to_contain_text("with a hat", timeout=PATIENCE)
    expect(page.locator("#message textarea")).to_have_value("not sent ye")
    gate.open()
    expect(page.locator("#chips")).to_contain_text("hat", timeout=PATIENCE)
    is_idle(page)
    becomes(said, page, ["a woman in a blue coat", "with a hat"])
    becomes(lambda page: "case=" in page.url, page, True)
    page.reload()
    expect(page.locator("#chatbot")).to_contain_text("with a hat", timeout=PATIENCE)
    becomes(said, page, ["a woman in a blue coat", "with a hat"])


def test_an_undo_that_runs_over_a_reload_is_shown(page: Page, gate: Gate) -> None:
    say(page, "a man in a white shirt")
    say(page, "with a suitcase")
    gate.close()
    page.locator("#undo").click()
    expect(page.locator("#stop")).to_be_enabled(timeout=PATIENCE)
    page.reload()
    expect(page.locator("#chatbot")).to_contain_text("with a suitcase", timeout=PATIENCE)
    gate.open()
    expect(page.locator("#chatbot .user")).to_have_count(1, timeout=PATIENCE)
    becomes(chips, page, ["man", "white shirt"])


def test_a_message_that_is_refused_is_given_back_before_what_is_typed(page: Page, gate: Gate) -> None:
    say(page, "a man in a black coat")
    gate.fail = "the model is out of breath"
    gate.close()
    send(page, "with a red bag")
    page.locator("#message textarea").fill("typed since")
    gate.open()
    expect(page.locator("#message textarea")).to_have_value("with a red bag\ntyped since", timeout=PATIENCE)
    expect(page.locator("#chatbot .bot").last).to_contain_text("The model is out of breath.")
    expect(page.locator("#chatbot .user").last).to_contain_text("with a red bag")
    gate.fail = ""
    send(page, "with a red bag")
    expect(page.locator("#chips")).to_contain_text("red bag", timeout=PATIENCE)
    is_idle(page)
    becomes(chips, page, ["man", "black coat", "red bag"])
    assert len(said(page)) == 2


def test_each_case_has_its_own_draft(page: Page) -> None:
    box = page.locator("#message textarea")
    say(page, "a man in a green coat")
    first = page.url
    box.fill("for the first case")
    page.locator("#cases summary").click()
    page.locator("#cases").get_by_role("link", name="New case").click()
    expect(page.locator("#chatbot .message")).to_have_count(0, timeout=PATIENCE)
    expect(box).to_have_value("")
    box.fill("for a new one")
    page.goto(first)
    expect(box).to_have_value("for the first case", timeout=PATIENCE)
    with answering(page):
        box.press("Enter")
    page.reload()
    expect(page.locator("#chatbot")).to_contain_text("for the first case", timeout=PATIENCE)
    expect(box).to_have_value("")


def test_start_over_waits_for_what_was_sent_before_it_and_keeps_its_case(page: Page, gate: Gate) -> None:
    say(page, "a woman with a suitcase")
    gate.close()
    send(page, "in a yellow dress")
    page.locator("#start-over").click()
    send(page, "a man with a dog")
    gate.open()
    expect(page.locator("#chatbot .user")).to_have_count(1, timeout=PATIENCE)
    is_idle(page)
    becomes(said, page, ["a man with a dog"])
    page.locator("#cases summary").click()
    page.locator("#cases").get_by_role("link", name="a woman with a suitcase").first.click()
    expect(page.locator("#chatbot")).to_contain_text("in a yellow dress", timeout=PATIENCE)


def test_a_required_reason_is_asked_for_once_and_stays_with_its_case(
    browser: Browser, tmp_path: Path
) -> None:
    with gated_app(tmp_path, needs_reason=True) as (served, _):
        page, problems = opened(browser, served, viewport={"width": 1440, "height": 900})
        reason = page.locator("#reason input, #reason textarea")
        send(page, "a woman in a red jacket")
        expect(page.locator("#chatbot .bot").last).to_contain_text("Why is this person looked for?")
        expect(page.locator("#candidates .cr-card")).to_have_count(0)
        expect(reason).to_be_focused()
        page.keyboard.type("a stolen bag")
        page.keyboard.press("Enter")
        expect(page.locator("#candidates .cr-card").first).to_be_visible(timeout=PATIENCE)
        expect(page.locator("#message textarea")).to_be_focused()
        say(page, "with a backpack")
        becomes(said, page, ["a woman in a red jacket", "with a backpack"])
        page.locator("#start-over").click()
        expect(reason).to_have_value("")
        send(page, "a man")
        expect(page.locator("#chatbot .bot").last).to_contain_text("Why is this person looked for?")
        page.context.close()
        assert problems == []
        client = Client(served.url, verbose=False)
        with pytest.raises(AppError, match="Why is this person looked for"):
            client.predict({"text": "a man", "files": []}, api_name="/chat")
        assert client.predict("a lost child", api_name="/give_reason") == "a lost child"
        assert client.predict({"text": "a man", "files": []}, api_name="/chat")[1]
        client.close()
