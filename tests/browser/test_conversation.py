"""The whole conversation as an operator has it, in real Chromium, with mouse and keyboard."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from app.settings import DEMO_GALLERY
from gallery_store.crops import Filters
from gallery_store.store import GalleryStore
from tests.bad_pictures import make_bad_pictures
from tests.browser.pages import PATIENCE, answering, attach, chips, choose, opened, say, shown
from tests.serving import Served

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def test_the_conversation(page: Page, tmp_path: Path) -> None:
    say(page, "I'm looking for a woman in a red jacket with a backpack")
    assert set(chips(page)) == {"woman", "red jacket", "backpack"}
    assert len(shown(page)) == 12
    first = page.locator("#candidates button[data-id]").first
    expect(first).to_have_attribute("aria-label", re.compile(r"camera \d, \d\d:\d\d:\d\d, confidence \d+%"))
    expect(first.locator("img")).to_have_js_property("complete", True)
    assert first.locator("img").evaluate("image => image.naturalWidth") > 0
    expect(page.locator("#chatbot")).to_contain_text("red jacket")
    expect(page.locator("#candidates .cr-count")).to_contain_text("searched")

    say(page, "she has long hair")
    assert "long hair" in chips(page)
    say(page, "no, the jacket is orange")
    assert "orange jacket" in chips(page) and "red jacket" not in chips(page)
    say(page, "without a hat")
    assert "no hat" in chips(page)
    with answering(page):
        page.get_by_role("button", name="Remove no hat").click()
    assert "no hat" not in chips(page) and "orange jacket" in chips(page)
    with answering(page):
        page.get_by_role("button", name="Remove backpack").click()
    say(page, "she carried a bakpack")
    assert "backpack" in chips(page)
    expect(page.locator("#chatbot")).to_contain_text("bakpack")

    person = choose(page, 0)
    expect(page.locator("#selected .cr-pair img").first).to_have_attribute(
        "alt", re.compile("Selected candidate, camera")
    )
    expect(page.locator("#selected")).to_contain_text(re.compile("In common|Only|read no attributes"))
    with answering(page):
        page.locator("#search-with-this").click()
    assert [chip.startswith("person: camera ") for chip in chips(page)] == [True]
    chosen = chips(page)[0]
    assert person not in shown(page)

    say(page, "the same person, but now in a green coat")
    assert set(chips(page)) == {chosen, "green coat"}
    say(page, "only camera 3 after 14:00")
    assert {"camera 3", "after 14:00"} <= set(chips(page))
    places = page.locator("#candidates .cr-place").all_inner_texts()
    assert places and set(places) == {"Camera 3"}

    listed = shown(page)
    rejected = choose(page, 0)
    with answering(page):
        page.locator("#reject").click()
    # The next takes its place; those who were judged together with it may change places.
    assert listed[0] not in shown(page) and set(listed[1:]) <= set(shown(page))
    choose(page, 0)
    with answering(page):
        page.locator("#confirm").click()
    assert len([chip for chip in chips(page) if chip.startswith("person: ")]) == 2
    for _ in range(2):
        with answering(page):
            page.locator("#undo").click()
    assert chosen in chips(page) and len([chip for chip in chips(page) if chip.startswith("person: ")]) == 1
    assert shown(page)[0] == rejected

    attach(page, sideways(tmp_path))  # so large a photo may show more than one person
    with answering(page):
        page.get_by_role("button", name="Use the whole photo").click()
    assert "photo" in chips(page)
    assert page.locator("#chatbot .user img").last.evaluate("i => i.naturalWidth < i.naturalHeight")

    with page.expect_file_chooser() as chooser:
        page.locator("#crop-photo").click()
    chooser.value.set_files(str(sideways(tmp_path)))
    box = page.locator("#cropper .cr-crop-box")
    box.focus()
    for key in ("ArrowRight", "ArrowDown", "Shift+ArrowLeft"):
        page.keyboard.press(key)
    assert box.get_attribute("data-box") != "0.3,0.05,0.7,0.95"
    with answering(page):
        page.get_by_role("button", name="Search with this part").click()
    expect(page.locator("#cropper .cr-crop-box")).to_have_count(0)
    assert "photo" in chips(page) and shown(page)

    page.locator("#start-over").click()
    expect(page.locator("#chips li")).to_have_count(0)
    expect(page.locator("#candidates button[data-id]")).to_have_count(0)
    expect(page.locator("#undo")).to_be_disabled()


def answers(page: Page) -> list[str]:
    """The buttons under the chat's question."""
    return page.locator("#answers button").all_inner_texts()


def test_a_question_is_answered_by_a_button(page: Page) -> None:
    assert answers(page) == []
    say(page, "a man")
    first = answers(page)
    group = page.locator("#answers").get_by_role("group", name=re.compile(r"^Answers to: .+\?$"))
    question = str(group.get_attribute("aria-label")).removeprefix("Answers to: ")
    expect(page.locator("#chatbot .bot").last).to_contain_text(question)
    assert 2 <= len(first) <= 6 and first[-1] == "I don't know"
    assert page.locator("#answers").bounding_box()["y"] < page.locator("#message").bounding_box()["y"]  # type: ignore[index]

    with answering(page):  # by mouse
        group.get_by_role("button", name=first[0], exact=True).click()
    expect(page.locator("#chatbot .user").last).to_contain_text(first[0])
    assert len(chips(page)) == 2 and chips(page)[0] == "man"

    second, known = answers(page), chips(page)
    assert second and second != first
    page.locator(
        "#message textarea"
    ).focus()  # by keyboard: the buttons stand before the message and its upload
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    expect(page.locator("#answers button").last).to_be_focused()
    with answering(page):
        page.keyboard.press("Enter")
    expect(page.locator("#chatbot .user").last).to_contain_text("I don't know")
    expect(page.locator("#chatbot .bot").last).to_contain_text("All right, that stays open.")
    expect(page.locator("#message textarea")).to_be_focused()
    assert chips(page) == known and answers(page) not in ([], second)

    with answering(page):
        page.locator("#undo").click()
    assert answers(page) == second
    with answering(page):
        page.locator("#start-over").click()
    assert answers(page) == []


def test_two_tabs_never_see_each_other(page: Page, browser: Browser, served: Served) -> None:
    other, problems = opened(browser, served)
    say(page, "a man with a suitcase")
    say(other, "someone with an umbrella")
    assert "umbrella" not in chips(page) and chips(other) == ["umbrella"]
    say(page, "in a black coat")
    assert set(chips(page)) == {"man", "suitcase", "black coat"}
    other.context.close()
    assert problems == []


def test_bad_photos_get_one_sentence_and_the_conversation_stays(page: Page, tmp_path: Path) -> None:
    say(page, "a man in a white shirt")
    before = chips(page), shown(page)
    files = make_bad_pictures(tmp_path)
    for name in ("letter.jpg", "torn.jpg"):
        attach(page, files[name])
        page.locator("#message [data-testid=submit-button]").click()
        expect(page.locator("#chatbot .bot").last).to_contain_text(name)
        assert (chips(page), shown(page)) == before


def test_a_phone_has_no_sideways_scroll(browser: Browser, served: Served) -> None:
    page, problems = opened(browser, served, viewport={"width": 390, "height": 844}, has_touch=True)
    say(page, "a man")
    sides = page.locator("#answers button").evaluate_all("all => all.map(one => one.getBoundingClientRect())")
    assert sides and all(one["left"] >= 0 and one["right"] <= 390 and one["height"] >= 42 for one in sides)
    say(page, "a woman in a red jacket with a backpack, without a hat, only camera 3 after 8:00")
    choose(page, 0)
    for tab in ("Gallery", "Responsible use", "Search"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.context.close()
    assert problems == []


def test_what_a_screen_reader_needs(page: Page) -> None:
    say(page, "a man with a suitcase")
    expect(page.get_by_role("textbox", name="Describe the person")).to_be_visible()
    expect(page.get_by_role("log", name="Conversation")).to_have_attribute("aria-live", "polite")
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('button, input, textarea')]
            .filter(e => e.checkVisibility({ visibilityProperty: true }))
            .filter(e => !e.ariaLabel && !e.innerText.trim() && !e.labels?.length)
            .map(e => e.outerHTML.slice(0, 200))"""
    )
    assert unnamed == []
    page.locator("#candidates button[data-id]").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#search-with-this")).to_be_enabled()


@pytest.fixture
def camera_99(served: Served) -> Iterator[str]:
    """A camera that the gallery does not have; its crops are gone again after the test."""
    yield "99"
    with GalleryStore.open(served.data / "gallery.db") as store:
        store.delete(store.matching(Filters(cameras=("99",))).tolist())


def test_the_gallery_tab_imports_a_folder_for_the_owner(
    page: Page, browser: Browser, served: Served, tmp_path: Path, camera_99: str
) -> None:
    for number, colour in enumerate(("red", "green")):
        Image.new("RGB", (64, 128), colour).save(tmp_path / f"{number}.png")
    (tmp_path / "torn.jpg").write_bytes(b"no picture")
    page.get_by_role("tab", name="Gallery").click()
    expect(page.locator("#import-note")).to_contain_text("whoever started ChatReID")
    expect(page.locator("#import-path")).to_have_count(0)
    page, problems = opened(browser, served, served.owner_url)
    assert page.url == served.url
    page.get_by_role("tab", name="Gallery").click()
    page.get_by_label("Add crops").fill(str(tmp_path))
    page.locator("#import-camera").get_by_role("textbox").fill(camera_99)
    page.locator("#import").click()
    report = page.locator("#import-report")
    expect(report).to_contain_text("2 added", timeout=PATIENCE)
    expect(report).to_contain_text("torn.jpg")
    expect(page.locator("#gallery-cameras")).to_contain_text("Camera 99, 2 crops")
    page.get_by_role("tab", name="Search").click()
    say(page, "only camera 99")  # a running app sees new crops on its next turn
    assert len(shown(page)) == 2 and problems == []
    page.context.close()


def sideways(folder: Path) -> Path:
    """A person of the demo gallery in a large frame, stored lying on its side with the EXIF mark for it."""
    crop = sorted(DEMO_GALLERY.glob("*.jpg"))[0]
    frame = Image.new("RGB", (1200, 1600), "grey")
    with Image.open(crop) as picture:
        frame.paste(picture.convert("RGB").resize((600, 1200)), (300, 200))
    exif = Image.Exif()
    exif[0x0112] = 6
    path = folder / "frame.jpg"
    frame.rotate(90, expand=True).save(path, exif=exif, quality=85)
    return path
