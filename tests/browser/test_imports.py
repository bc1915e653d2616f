"""An import in the Gallery tab, told whole, and undone whole."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.in_process import gated_app
from tests.browser.pages import PATIENCE, opened
from tests.gallery_tools import write_pictures

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def test_an_import_is_undone_after_what_goes_was_said(browser: Browser, tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "new", ["1.png", "2.png", "3.png", "cam9_2026-05-12_14-03-22.png"])
    with zipfile.ZipFile(tmp_path / "new.zip", "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
    with gated_app(tmp_path) as (served, _):
        page, problems = opened(browser, served, viewport={"width": 1440, "height": 900})
        header, imports = page.locator("#header"), page.locator("#gallery-imports")
        expect(header).to_contain_text("40", timeout=PATIENCE)
        page.get_by_role("tab", name="Gallery").click()
        page.locator("#pane-gallery input[type=file]").set_input_files(str(tmp_path / "new.zip"))
        report = page.locator("#import-report")
        expect(report).to_contain_text("4 added", timeout=PATIENCE)
        expect(report).to_contain_text("3 without a camera, 3 without a time")
        expect(report).to_contain_text("choose that above")
        expect(header).to_contain_text("44", timeout=PATIENCE)
        of_nine = page.locator("#filters [data-camera='9']")
        expect(of_nine).to_have_count(1, timeout=PATIENCE)  # the search goes by it from now on
        expect(imports).to_contain_text("new.zip")
        expect(imports).not_to_contain_text(str(tmp_path))
        undo = page.get_by_role("button", name="Undo import 2")
        undo.click()
        expect(imports).to_contain_text("4 crops and their pictures are removed for good", timeout=PATIENCE)
        expect(page.get_by_role("button", name="Keep them")).to_be_focused(timeout=PATIENCE)
        page.get_by_role("button", name="Keep them").click()
        expect(page.get_by_role("button", name="Keep them")).to_have_count(0, timeout=PATIENCE)
        undo.click()
        page.get_by_role("button", name="Remove 4 crops").click()
        expect(imports).to_contain_text("Import 2 is undone: 4 crops removed.", timeout=PATIENCE)
        expect(header).to_contain_text("40", timeout=PATIENCE)
        expect(undo).to_have_count(0, timeout=PATIENCE)
        expect(of_nine).to_have_count(0, timeout=PATIENCE)
        page.context.close()
        assert problems == []
