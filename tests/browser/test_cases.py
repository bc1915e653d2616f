"""A case comes back: after a reload, Back, a kill of the app, in another tab; and nobody else's does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from app.settings import DEMO_CLIP, DEMO_GALLERY
from gallery_store.encoder import ClipEncoder
from gallery_store.importer import import_crops
from gallery_store.store import GalleryStore
from tests.browser.test_conversation import PATIENCE, answering, attach, opened, say
from tests.serving import Served, free_port, serving

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    page, problems = opened(browser, served, viewport={"width": 1440, "height": 900})
    yield page
    page.context.close()
    assert problems == []


def what_stands(page: Page) -> dict[str, object]:
    """All that the operator sees of a case."""
    expect(page.locator("#message textarea")).to_be_editable(timeout=PATIENCE)
    expect(page.locator("#chatbot .message").first).to_be_visible(timeout=PATIENCE)
    return {
        "said": page.locator("#chatbot .message").all_inner_texts(),
        "photos": page.locator("#chatbot .message img").count(),
        "chips": page.locator("#chips").inner_text(),
        "answers": page.locator("#answers button").all_inner_texts(),
        "cards": page.locator("#candidates .cr-card").evaluate_all("all => all.map(one => one.ariaLabel)"),
        "selected": page.locator("#candidates .is-selected").get_attribute("data-id"),
        "panel": page.locator("#selected").inner_text(),
        "reason": page.locator("#reason input, #reason textarea").input_value(),
        "undo": page.locator("#undo").is_enabled(),
        "redo": page.locator("#redo").is_enabled(),
    }


def small_gallery(data: Path) -> None:
    """Forty of the demo's crops where the app looks for its gallery: every start and search is short."""
    crops = data / "crops"
    crops.mkdir(parents=True)
    head, *rows = (DEMO_GALLERY / "manifest.csv").read_text("utf-8").splitlines()
    (crops / "manifest.csv").write_text("\n".join([head, *rows[:40]]), "utf-8")
    for row in rows[:40]:
        name = row.split(",")[0]
        (crops / name).symlink_to(DEMO_GALLERY / name)
    with GalleryStore.open(data / "gallery.db") as store:
        import_crops(store, ClipEncoder.load(DEMO_CLIP), crops)


def work_on(page: Page, photo: Path) -> None:
    page.locator("#reason input, #reason textarea").fill("a lost child")
    say(page, "a woman in a red jacket")
    page.locator(".cr-card").nth(1).click()
    expect(page.locator("#confirm")).to_be_enabled(timeout=PATIENCE)
    with answering(page):
        page.locator("#confirm").click()
    with answering(page):
        page.locator("#undo").click()
    attach(page, photo)
    say(page, "this is her")
    page.locator(".cr-card").nth(2).click()
    expect(page.locator("#confirm")).to_be_enabled(timeout=PATIENCE)


def test_a_case_comes_back_whole(browser: Browser, tmp_path: Path) -> None:
    """After a reload, a kill -9 with the tab open, and in another tab, which goes on with it."""
    photo = tmp_path / "her.png"
    Image.effect_noise((64, 160), 90).convert("RGB").save(photo)
    port = free_port()
    small_gallery(tmp_path / "data")
    with serving(tmp_path / "data", port=port) as served:
        page, _ = opened(browser, served, viewport={"width": 1440, "height": 900})
        assert "case=" not in page.url
        work_on(page, photo)
        before = what_stands(page)
        assert before["photos"] == 1 and before["selected"] and before["reason"] == "a lost child"
        address = page.url
        assert re.search(r"[?&]case=[\w-]{16}$", address)
        page.reload()
        expect(page.locator("#candidates .is-selected")).to_be_visible(timeout=PATIENCE)
        assert what_stands(page) == before and page.url == address
        served.kill()
    with serving(tmp_path / "data", port=port) as served:
        page.goto(address)
        expect(page.locator("#candidates .is-selected")).to_be_visible(timeout=PATIENCE)
        assert what_stands(page) == before
        other = page.context.new_page()
        other.goto(address)
        expect(other.locator("#candidates .is-selected")).to_be_visible(timeout=PATIENCE)
        say(other, "with a backpack")
        say(page, "only camera 1")
        assert "with a backpack" in " ".join(page.locator("#chatbot .message").all_inner_texts())
        other.reload()
        expect(other.locator("#chatbot")).to_contain_text("only camera 1", timeout=PATIENCE)
        page.context.close()


def test_start_over_keeps_the_old_case_and_back_returns_to_it(page: Page) -> None:
    page.locator("#reason input, #reason textarea").fill("stolen bag")
    say(page, "a man in a green coat")
    first = page.url
    page.locator("#start-over").click()
    expect(page.locator("#chatbot .message")).to_have_count(0, timeout=PATIENCE)
    expect(page.locator("#reason input, #reason textarea")).to_have_value("")
    say(page, "a woman with a suitcase")
    assert "case=" in page.url and page.url != first
    page.evaluate("history.back()")
    expect(page.locator("#chatbot")).to_contain_text("a man in a green coat", timeout=PATIENCE)
    expect(page.locator("#reason input, #reason textarea")).to_have_value("stolen bag")
    assert page.url == first


def test_the_menu_lists_renames_closes_and_reopens(page: Page) -> None:
    say(page, "somebody in a yellow dress")
    page.locator("#cases summary").focus()
    page.keyboard.press("Enter")
    name = page.get_by_label("Name of this case")
    expect(name).to_have_value("somebody in a yellow dress")
    name.fill("The yellow dress")
    page.keyboard.press("Enter")
    expect(page.locator("#cases summary")).to_contain_text("The yellow dress", timeout=PATIENCE)
    page.locator("#cases summary").click()
    page.locator("#cases").get_by_role("button", name="Close").click()
    expect(page.locator("#cases summary")).to_contain_text("closed", timeout=PATIENCE)
    page.locator("#cases summary").click()
    line = page.get_by_label("Your closed cases").get_by_role("link", name="The yellow dress")
    expect(line).to_contain_text("1 step")
    page.locator("#cases").get_by_role("button", name="Reopen").click()
    expect(page.locator("#cases summary")).not_to_contain_text("closed", timeout=PATIENCE)


def test_redo_does_again_what_undo_took_back(page: Page) -> None:
    say(page, "a man in a black coat")
    say(page, "with a hat")
    cards = page.locator("#candidates .cr-card").evaluate_all("all => all.map(one => one.dataset.id)")
    with answering(page):
        page.locator("#undo").click()
    with answering(page):
        page.locator("#redo").click()
    expect(page.locator("#redo")).to_be_disabled()
    assert cards == page.locator("#candidates .cr-card").evaluate_all("all => all.map(one => one.dataset.id)")


def test_an_unknown_case_is_one_sentence_and_a_new_case(browser: Browser, served: Served) -> None:
    page, problems = opened(browser, served, f"{served.url}?case=AAAAAAAAAAAAAAAA")
    expect(page.locator("#chatbot")).to_contain_text("There is no such case of yours", timeout=PATIENCE)
    assert "case=" not in page.url
    say(page, "a woman in a red jacket")
    expect(page.locator("#candidates .cr-card").first).to_be_visible(timeout=PATIENCE)
    page.context.close()
    assert problems == []
