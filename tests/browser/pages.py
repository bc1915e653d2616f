"""A page as an operator has it: opened, talked to, clicked."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from playwright.sync_api import Browser, Page, expect

from tests.serving import Served

T = TypeVar("T")
UNDER_WAY = re.compile("Searching…|Waits for its turn…")
PATIENCE = 30_000  # milliseconds; far above the goal, for loaded machines


def opened(browser: Browser, served: Served, url: str = "", **options: Any) -> tuple[Page, list[str]]:
    """A fresh tab of a fresh browser profile, and the problems that its console reports from now on."""
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(PATIENCE)
    problems: list[str] = []
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda sent: problems.append(sent.url) if _is_foreign(sent.url, served.url) else None)
    page.goto(url or served.url)
    expect(page.locator("#message textarea")).to_be_editable(timeout=PATIENCE)
    return page, problems


def _is_foreign(url: str, own: str) -> bool:
    return not url.startswith((own, "data:", "blob:"))


def say(page: Page, text: str) -> None:
    """Type a message, and wait for its answer."""
    page.locator("#message textarea").fill(text)
    with answering(page):
        page.keyboard.press("Enter")


def settled(page: Page) -> None:
    """Gradio lays the outputs of one event on the page one after the other: wait until the last is drawn."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def becomes(read: Callable[[Page], T], page: Page, expected: T) -> None:
    """What is read off the page is this now, or soon."""
    until = time.monotonic() + PATIENCE / 1000
    while (now := read(page)) != expected and time.monotonic() < until:
        page.wait_for_timeout(50)
    assert now == expected


class answering:
    """Waits until the answer to what is done inside the block is there: until Stop has nothing to stop."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def __enter__(self) -> None:
        self.before = self.page.locator("#chatbot .message").count()

    def __exit__(self, *problem: object) -> None:
        if problem[0] is None:
            self.page.wait_for_function(
                "(before) => document.querySelectorAll('#chatbot .message').length != before", arg=self.before
            )
            for _ in range(2):  # what was sent may show before the button does
                settled(self.page)
                expect(self.page.locator("#chatbot")).not_to_contain_text(UNDER_WAY, timeout=PATIENCE)
                expect(self.page.locator("#stop")).to_be_disabled(timeout=PATIENCE)
            settled(self.page)


def attach(page: Page, file: Path) -> None:
    """Add a file to the message, and wait until it is uploaded."""
    page.locator("#message input[type=file]").set_input_files(str(file))
    expect(page.locator("#message").get_by_role("button", name="Remove file")).to_be_visible(timeout=PATIENCE)


def chips(page: Page) -> list[str]:
    return [text.removesuffix("×").strip() for text in page.locator("#chips li").all_inner_texts()]


def shown(page: Page) -> list[str]:
    """Image ids of the candidates, best first."""
    return page.locator("#candidates button[data-id]").evaluate_all("all => all.map(one => one.dataset.id)")


def choose(page: Page, place: int) -> str:
    card = page.locator("#candidates button[data-id]").nth(place)
    image_id = card.get_attribute("data-id")
    card.click()
    expect(card).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#search-with-this")).to_be_enabled()
    return str(image_id)
