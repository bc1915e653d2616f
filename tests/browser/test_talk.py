"""Questions that the model answers in its own words, as an operator sees them come, in real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from app.settings import DEMO_CLIP, DEMO_GALLERY
from gallery_store.encoder import ClipEncoder
from gallery_store.importer import import_crops
from gallery_store.store import GalleryStore
from tests.browser.test_conversation import PATIENCE, chips, choose, opened, say, shown
from tests.serving import Served, serving
from tests.tiny_qwen import build_tiny

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An app whose model talks freely, in random words: a toy checkpoint of so many layers that one sees it write."""
    folder: Path = tmp_path_factory.mktemp("talking")
    build_tiny(folder / "model", layers=60)
    (folder / "crops").mkdir()
    for crop in sorted(DEMO_GALLERY.glob("*.jpg"))[:6]:
        (folder / "crops" / crop.name).symlink_to(crop)
    with GalleryStore.open(folder / "gallery.db") as store:
        import_crops(store, ClipEncoder.load(DEMO_CLIP), folder / "crops")
    given = ("--model", str(folder / "model"), "--gallery", str(folder / "gallery.db"))
    with serving(folder / "data", *given) as server:
        yield server


@pytest.fixture
def page(browser: Browser, talking: Served) -> Iterator[Page]:
    page, problems = opened(browser, talking, viewport={"width": 1440, "height": 900})
    yield page
    page.context.close()
    assert problems == []


def test_the_models_own_words_come_one_by_one_and_can_be_stopped(page: Page) -> None:
    say(page, "a woman in a red jacket")
    before = chips(page), shown(page)
    page.evaluate(
        """() => {
            window.seen = [];
            const look = () => {
                const quotes = document.querySelectorAll('#chatbot .bot blockquote');
                const text = quotes.length ? quotes[quotes.length - 1].innerText : '';
                if (text && text !== window.seen.at(-1)) window.seen.push(text);
            };
            new MutationObserver(look).observe(
                document.querySelector('#chatbot'), {subtree: true, childList: true, characterData: true});
        }"""
    )
    say(page, "what is number 2 doing?")
    last = page.locator("#chatbot .bot").last
    expect(last).to_contain_text("The model's own words on candidate 2")
    seen = page.evaluate("window.seen")
    assert len(seen) > 2 and len(seen[0]) < len(seen[-1])  # it grew before the eyes
    assert (chips(page), shown(page)) == before

    choose(page, 2)
    page.locator("#message textarea").fill("what is written on her jacket?")
    page.keyboard.press("Enter")
    page.wait_for_function(
        "() => [...document.querySelectorAll('#chatbot .bot')].at(-1).innerText.includes('words on candidate 3')",
        timeout=PATIENCE,
    )
    page.locator("#stop").click()
    expect(last).to_contain_text("Stopped.", timeout=PATIENCE)
    expect(page.locator("#stop")).to_be_disabled(timeout=PATIENCE)
    assert (chips(page), shown(page)) == before
    page.locator("#undo").click()
    expect(page.locator("#chatbot")).not_to_contain_text("candidate 3", timeout=PATIENCE)


def test_the_demo_answers_by_what_it_reads_and_says_that_it_cannot_talk(
    browser: Browser, served: Served
) -> None:
    page, problems = opened(browser, served)
    say(page, "a woman in a red jacket")
    before = chips(page), shown(page)
    for text, says in (
        ("what is number 2 doing?", "This model cannot talk freely"),
        ("describe number 2", "Candidate 2, as the model reads it"),
        ("compare 1 and 3", "1 and 3"),
        ("who is number 2?", "I never tell who somebody is"),
    ):
        say(page, text)
        expect(page.locator("#chatbot .bot").last).to_contain_text(says)
        assert (chips(page), shown(page)) == before
    page.context.close()
    assert problems == []
