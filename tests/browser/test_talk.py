"""Questions that the model answers in its own words, as an operator sees them come, in real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from app.model.generation import WrittenAnswer
from app.model.message_reading import MessageReading, SaidAttribute, SaidPerson
from app.model.reid_model import ReidModel
from app.retrieval.engine import Engine
from app.service import ChatService
from app.settings import DEMO_CLIP, DEMO_GALLERY, Settings
from app.startup import open_uploads
from gallery_store.encoder import ClipEncoder
from gallery_store.importer import import_crops
from gallery_store.store import GalleryStore
from tests.browser.in_process import served_here
from tests.browser.pages import PATIENCE, becomes, chips, choose, opened, say, shown
from tests.serving import Served, free_port
from tests.tiny_qwen import build_tiny

pytestmark = [pytest.mark.slow, pytest.mark.browser]


# What the model fills in for a message, in place of its random words.
READING = MessageReading(
    language="en",
    does="describes",
    persons=(SaidPerson(who="sought", attributes=(SaidAttribute(said="has", phrase="red jacket"),)),),
    filters=(),
    candidates=(),
)


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An app in this process, whose model talks freely, in random words: a toy checkpoint of so many layers that one
    sees it write. Of every message it reads a red jacket.
    """
    folder: Path = tmp_path_factory.mktemp("talking")
    (folder / "crops").mkdir()
    for crop in sorted(DEMO_GALLERY.glob("*.jpg"))[:6]:
        (folder / "crops" / crop.name).symlink_to(crop)
    settings = Settings(port=free_port(), data=str(folder / "data"))
    encoder, model = ClipEncoder.load(DEMO_CLIP), ReidModel.load(build_tiny(folder / "model", layers=60))
    write = model.write

    def fill_in(messages, pictures, *, schema=None, **rest):
        if schema is None:
            return write(messages, pictures, **rest)
        return WrittenAnswer(READING.model_dump_json(), True)

    model.write = fill_in  # type: ignore[method-assign]
    with GalleryStore.open(folder / "gallery.db") as store:
        import_crops(store, encoder, folder / "crops")
        uploads = open_uploads(settings)
        service = ChatService(Engine(store, encoder, model), uploads, model_reads=True)
        with served_here(settings, service, uploads, folder) as served:
            yield served


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


def test_where_the_model_reads_another_search_one_click_decides(page: Page) -> None:
    say(page, "a woman in a red jacket with a backpack")
    assert set(chips(page)) == {
        "woman",
        "red jacket",
        "backpack",
    }  # until it is chosen, the chat's own reading holds
    expect(page.locator("#chatbot .bot").last).to_contain_text("The model reads: red jacket")
    use_it = page.locator("#use-model-reading")
    use_it.click()
    expect(page.locator("#chips li")).to_have_count(1, timeout=PATIENCE)
    expect(page.locator("#stop")).to_be_disabled(timeout=PATIENCE)
    becomes(chips, page, ["red jacket"])
    expect(use_it).to_be_hidden()
    say(page, "only camera 1")
    expect(use_it).to_be_hidden()  # its words were not said
    say(page, "a red jacket")
    expect(use_it).to_be_hidden()  # both read the same


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
