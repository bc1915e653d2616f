"""The conversations of the README, as a person at the browser holds them: their words are read from its table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.pages import answering, chips, choose, say, shown

pytestmark = [pytest.mark.slow, pytest.mark.browser]
README = (Path(__file__).resolve().parents[2] / "README.md").read_text("utf-8")
ROWS = {
    cells[0].strip(): re.findall(r"\*([^*]+)\*", cells[1])
    for line in README.splitlines()
    if line.startswith("| ") and "*" in line and len(cells := line.strip("|").split("|")) == 2
}


def reply(page: Page) -> str:
    """The last bubble of the chat."""
    return str(page.locator("#chatbot .message").last.inner_text())


def times(page: Page) -> list[str]:
    """The times of the candidates as their cards stand, HH:MM:SS."""
    labels = page.locator("#candidates button[data-id]").evaluate_all(
        "all => all.map(one => one.getAttribute('aria-label'))"
    )
    return [re.search(r"\d\d:\d\d:\d\d", label)[0] for label in labels]  # type: ignore[index]


def test_the_table_has_six() -> None:
    assert len(ROWS) == 6 and all(len(said) >= 2 for said in ROWS.values())


def test_a_lost_child_with_a_mother(page: Page) -> None:
    child, mother = ROWS["a lost child with a mother"]
    say(page, child)
    before = set(chips(page))
    assert {"yellow t-shirt", "blue shorts"} <= before
    say(page, mother)
    assert set(chips(page)) >= before and "with: his mother, a red coat" in chips(page)
    assert not any(chip in ("woman", "red coat", "coat") for chip in chips(page))
    expect(page.locator("#chatbot")).to_contain_text("a red coat")
    with answering(page):
        page.get_by_role("button", name="Remove with: his mother, a red coat").click()
    assert set(chips(page)) == before


def test_a_suspect_corrected_twice(page: Page) -> None:
    first, colour, bag = ROWS["a suspect corrected twice"]
    say(page, first)
    assert set(chips(page)) == {"man", "black jacket", "backpack"}
    say(page, colour)
    assert set(chips(page)) == {"man", "blue jacket", "backpack"}
    say(page, bag)
    assert set(chips(page)) == {"man", "blue jacket", "shoulder bag"}


def test_a_question_about_number_2(page: Page) -> None:
    sought, glasses, camera = ROWS["a question about number 2"]
    say(page, sought)
    chips_before, shown_before = chips(page), shown(page)
    say(page, glasses)
    assert re.search(r"candidate 2 .*glasses|make that out in candidate 2", reply(page))
    say(page, camera)
    second = page.locator("#candidates button[data-id]").nth(1)
    where = re.search(r"camera (\d+)", second.get_attribute("aria-label") or "")
    assert where is not None and f"camera {where[1]}" in reply(page).lower()
    assert (chips(page), shown(page)) == (chips_before, shown_before)


def test_none_of_these(page: Page) -> None:
    sought, none = ROWS["none of these"]
    say(page, sought)
    before = shown(page)
    say(page, none)
    assert len(shown(page)) == 12 and not set(shown(page)) & set(before)
    assert "umbrella" in chips(page)
    with answering(page):
        page.locator("#undo").click()
    assert shown(page) == before


def test_this_one_but_changed(page: Page) -> None:
    sought, changed = ROWS["this one, but changed"]
    say(page, sought)
    person = choose(page, 2)
    say(page, changed)
    assert "green coat" in chips(page) and any(chip.startswith("person: ") for chip in chips(page))
    assert person not in shown(page)


def test_in_the_order_of_time(page: Page) -> None:
    sought, earliest, latest = ROWS["in the order of time"]
    say(page, sought)
    before = shown(page)
    say(page, earliest)
    assert times(page) == sorted(times(page)) and sorted(shown(page)) == sorted(before)
    say(page, latest)
    assert times(page) == sorted(times(page), reverse=True) and sorted(shown(page)) == sorted(before)
