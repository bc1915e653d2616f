"""Pictures in real Chromium: at full size and beside each other; dropped, pasted, and cut out of a whole scene."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.in_process import gated_app
from tests.browser.pages import PATIENCE, opened, say, shown
from tests.serving import Served

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="module")
def served_here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with gated_app(tmp_path_factory.mktemp("pictures")) as (served, _):
        yield served


@pytest.fixture
def page(browser: Browser, served_here: Served) -> Iterator[Page]:
    page, problems = opened(browser, served_here, viewport={"width": 1440, "height": 900})
    yield page
    page.context.close()
    assert problems == []


def caption(page: Page, pane: str = "first") -> str:
    return page.locator(f'.cr-viewer [data-pane="{pane}"] figcaption').inner_text()


def test_a_picture_opens_at_full_size(page: Page) -> None:
    say(page, "a woman in a red jacket")
    ids = shown(page)
    page.locator(f'#candidates button[data-id="{ids[1]}"]').focus()
    page.keyboard.press("z")
    viewer = page.get_by_role("dialog", name="Pictures at full size")
    expect(viewer).to_be_visible()
    print(caption(page))
