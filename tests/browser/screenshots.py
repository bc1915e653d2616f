"""Takes the README's pictures: `python -m tests.browser.screenshots` writes assets/screenshots/*.png."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.pages import answering, choose, opened, say
from tests.conftest import CHROMIUM, CHROMIUM_ARGS
from tests.serving import ROOT, Served, serving

FOLDER = ROOT / "assets" / "screenshots"
PAPER = {"width": 960, "height": 900}
DESK = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as data,
        serving(Path(data)) as served,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        on_a_desk(browser, served)
        with_a_board(browser, served)
        in_the_dark(browser, served)
        on_a_phone(browser, served)
        browser.close()


def take(page: Page, name: str) -> None:
    page.evaluate("document.activeElement?.blur()")
    page.wait_for_timeout(600)  # the last thumbnails
    page.screenshot(path=FOLDER / f"{name}.png")
    print(FOLDER / f"{name}.png")


def on_a_desk(browser: Browser, served: Served) -> None:
    page, _ = opened(browser, served, viewport=DESK)
    take(page, "start")
    say(page, "I'm looking for a woman in an orange jacket with a backpack")
    choose(page, 0)
    page.wait_for_timeout(500)
    take(page, "search")
    with answering(page):
        page.locator("#search-with-this").click()
    say(page, "the same person, but now in a green coat, only after 12:00")
    choose(page, 0)
    page.wait_for_timeout(500)
    take(page, "person")
    page.get_by_role("tab", name="Gallery").click()
    page.wait_for_timeout(500)
    take(page, "gallery")
    page.context.close()


def with_a_board(browser: Browser, served: Served) -> None:
    page, _ = opened(browser, served, viewport=DESK)
    say(page, "a woman in a red jacket with a backpack")
    for place, button in ((0, "#confirm"), (1, "#confirm"), (0, "#confirm"), (2, "#reject")):
        choose(page, place)
        with answering(page):
            page.locator(button).click()
    choose(page, 0)
    page.wait_for_timeout(500)
    take(page, "board")
    page.locator("#selected .cr-pair .cr-enlarge").click()
    page.wait_for_timeout(500)
    take(page, "viewer")
    page.keyboard.press("Escape")
    page.locator("#cases summary").click()
    with page.expect_download() as download:
        page.locator("#cases [data-export]").click()
    of_the_report(browser, download.value.path())
    page.context.close()


def of_the_report(browser: Browser, exported: Path) -> None:
    """Of a case as a zip."""
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(exported) as files:
            files.extractall(folder)
        page = browser.new_page(viewport=PAPER)
        page.goto(next(Path(folder).rglob("report.html")).as_uri())
        take(page, "report")
        page.close()


def in_the_dark(browser: Browser, served: Served) -> None:
    page, _ = opened(browser, served, viewport=DESK, color_scheme="dark")
    say(page, "an elderly bald man in a pink dotted dress with a purple suitcase and a yellow hat")
    choose(page, 0)
    page.wait_for_timeout(500)
    take(page, "nobody")
    page.context.close()


def on_a_phone(browser: Browser, served: Served) -> None:
    page, _ = opened(browser, served, viewport=PHONE, device_scale_factor=2, has_touch=True)
    say(page, "a woman in a red jacket with a backpack")
    take(page, "phone-chat")
    page.locator("#chips").scroll_into_view_if_needed()
    page.evaluate("document.querySelector('#pane-candidates').scrollIntoView()")
    take(page, "phone-candidates")
    choose(page, 0)
    page.wait_for_timeout(900)
    take(page, "phone-selected")
    page.context.close()


if __name__ == "__main__":
    main()
