"""Sightings on their board, and the case as a zip, in real Chromium: by mouse, by keyboard, after a reload."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from gallery_store.sealed_zip import check_zip
from tests.browser.pages import PATIENCE, answering, choose, opened, say
from tests.serving import Served

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def judge(page: Page, place: int, button: str) -> str:
    """Confirm or reject a candidate; -> its image id."""
    image_id = choose(page, place)
    with answering(page):
        page.locator(button).click()
    return image_id


def on_board(page: Page) -> list[str]:
    """Image ids, as they stand."""
    days = page.locator(".cr-day:not(.is-ruled-out) .cr-sighting")
    return [str(one) for one in days.evaluate_all("all => all.map(one => one.dataset.open)")]


def test_sightings_stand_in_time_and_come_back(page: Page) -> None:
    say(page, "a woman in a red jacket with a backpack")
    expect(page.locator(".cr-board")).to_have_count(0)
    confirmed = [judge(page, place, "#confirm") for place in (0, 1)]
    rejected = judge(page, 1, "#reject")
    assert sorted(on_board(page)) == sorted(confirmed)
    times = page.locator(".cr-day:not(.is-ruled-out) .cr-sighting").evaluate_all(
        "all => all.map(one => one.ariaLabel.match(/[0-9]{2}:[0-9]{2}:[0-9]{2}/)[0])"
    )
    assert times == sorted(times)
    expect(page.locator(".cr-since")).to_contain_text("later")
    expect(page.locator(".is-ruled-out .cr-sighting")).to_have_attribute("data-open", rejected)
    first, second = on_board(page)

    # By keyboard: to the first one, right, open, note, and back where one was.
    page.locator(".cr-sighting").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name=re.compile("^Sighting 2: Camera"))
    expect(dialog).to_be_visible()
    expect(dialog.locator("img")).to_have_js_property("complete", True)
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    page.keyboard.press("Enter")
    dialog.get_by_label("Note").fill("two <b>bags</b>, ${1+1}")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".cr-sighting-note")).to_have_text("two <b>bags</b>, ${1+1}", timeout=PATIENCE)
    expect(page.locator(f'.cr-sighting[data-open="{second}"]')).to_be_focused()

    # What is typed while a step ends elsewhere on the page stays; a click on the edge closes nothing.
    page.locator(f'.cr-sighting[data-open="{first}"]').click()
    typed = page.locator("dialog[open] textarea")
    typed.fill("half a note")
    box = page.locator("dialog[open]").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 4, box["y"] + 4)
    page.evaluate("document.querySelector('#undo').click()")
    expect(page.locator(".cr-sighting-note")).to_have_count(0, timeout=PATIENCE)
    expect(typed).to_have_value("half a note")
    page.mouse.click(2, 2)
    expect(page.locator("dialog[open]")).to_have_count(0)
    with answering(page):
        page.locator("#redo").click()
    expect(page.locator(".cr-sighting-note")).to_have_count(1, timeout=PATIENCE)

    page.reload()
    expect(page.locator(".cr-sighting-note")).to_have_text("two <b>bags</b>, ${1+1}", timeout=PATIENCE)
    assert on_board(page) == [first, second]

    # Searched with again: the other one stays on the board.
    page.locator(f'.cr-sighting[data-open="{first}"]').click()
    with answering(page):
        page.locator("dialog[open]").get_by_role("button", name="Search with this person").click()
    expect(page.locator("#chips li")).to_have_count(1, timeout=PATIENCE)  # the words before it are gone
    assert on_board(page) == [first, second]

    page.locator(f'.cr-sighting[data-open="{second}"]').click()
    with answering(page):
        page.locator("dialog[open]").get_by_role("button", name="Remove from the board").click()
    assert on_board(page) == [first]
    page.locator(f'.cr-sighting[data-open="{rejected}"]').click()
    with answering(page):
        page.locator("dialog[open]").get_by_role("button", name="No longer ruled out").click()
    expect(page.locator(".is-ruled-out")).to_have_count(0)
    with answering(page):
        page.locator("#undo").click()
    expect(page.locator(".is-ruled-out .cr-sighting")).to_have_count(1)


@pytest.mark.parametrize("width, height", [(1440, 900), (1024, 768), (390, 844)])
def test_the_board_fits_the_screen(browser: Browser, served: Served, width: int, height: int) -> None:
    page, problems = opened(browser, served, viewport={"width": width, "height": height})
    say(page, "a woman in a red jacket with a backpack")
    judge(page, 0, "#confirm")
    page.locator(".cr-board").scroll_into_view_if_needed()
    wide, across = page.locator(".cr-board").evaluate("board => [board.scrollWidth, innerWidth]")
    assert wide <= across
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if width >= 1100:  # desk and board stand together on the screen
        page.evaluate("scrollTo(0, 0)")
        box = page.locator(".cr-board").bounding_box()
        assert box is not None and box["y"] + box["height"] <= height
    page.locator(".cr-sighting").first.click()
    box = page.locator("dialog[open]").bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= width
    assert box["y"] >= 0 and box["y"] + box["height"] <= height
    page.context.close()
    assert problems == []


def test_a_case_is_saved_as_a_zip_that_verifies(page: Page, tmp_path: Path) -> None:
    page.locator("#reason input, #reason textarea").fill("a lost child")
    say(page, "a woman in a red jacket with a backpack")
    confirmed, rejected = judge(page, 0, "#confirm"), judge(page, 1, "#reject")
    page.locator("#cases summary").click()
    with page.expect_download(timeout=PATIENCE) as download:
        page.locator("#cases").get_by_role("button", name="Export").click()
    expect(page.locator("#cases [role=status]")).to_have_text("The report is saved.")
    case = re.search(r"case=([\w-]+)", page.url)
    assert case is not None and download.value.suggested_filename == f"case-{case[1]}.zip"
    file = tmp_path / "case.zip"
    download.value.save_as(file)
    assert check_zip(file).ok
    with zipfile.ZipFile(file) as archive:
        names = set(archive.namelist())
        assert json.loads(archive.read("manifest.json"))["case"] == case[1]
        report = tmp_path / "report.html"
        report.write_bytes(archive.read("report.html"))
    assert f"sightings/001-crop-{confirmed}.jpg" in names and f"ruled-out/001-crop-{rejected}.jpg" in names
    sheet = page.context.new_page()
    sheet.goto(report.as_uri())
    expect(sheet.get_by_role("heading", level=1)).to_have_text("a woman in a red jacket with a backpack")
    expect(sheet.locator("body")).to_contain_text("a lost child")
    widths = sheet.locator("img").evaluate_all("all => all.map(one => one.naturalWidth)")
    assert len(widths) == 2 and all(widths)
    sheet.close()
