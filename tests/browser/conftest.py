"""What the browser tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.pages import opened
from tests.serving import Served


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    page, problems = opened(browser, served, viewport={"width": 1440, "height": 900})
    yield page
    page.context.close()
    assert problems == []
