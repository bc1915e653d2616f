"""The filter bar beside the words, by mouse, keyboard and touch; and candidates by person."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.in_process import gated_app
from tests.browser.pages import PATIENCE, answering, chips, choose, opened, say, shown
from tests.serving import Served

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def spread(row: str) -> str:
    """The crop at another time: over three days, at all hours."""
    name, camera, _, rest = row.split(",", 3)
    number = int(name.split("_")[2])
    return f"{name},{camera},2026-05-{11 + number % 3}T{number * 7 % 24:02}:30:00,{rest}"


@pytest.fixture(scope="module")
def three_days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with gated_app(tmp_path_factory.mktemp("filters"), edit=spread) as (served, _):
        yield served


def slider(page: Page, name: str) -> str | None:
    return page.get_by_role("slider", name=name).get_attribute("aria-valuetext")


def test_the_bar_and_the_words_set_the_same_filters(browser: Browser, three_days: Served) -> None:
    page, problems = opened(browser, three_days, viewport={"width": 1440, "height": 900})
    bar = page.get_by_role("region", name="Filters")
    with answering(page):  # two clicks are one step
        bar.get_by_role("button", name="Camera 3").click()
        bar.get_by_role("button", name="Camera 2").click()
    assert chips(page) == ["camera 2", "camera 3"]
    expect(page.locator("#chatbot .user")).to_have_text("Filters: on cameras 2 and 3")

    say(page, "a woman in a red jacket, only camera 1, after 14:00, on 12 May")
    one, two = (bar.get_by_role("button", name=f"Camera {number}") for number in (1, 2))
    expect(one).to_have_attribute("aria-pressed", "true", timeout=PATIENCE)
    expect(two).to_have_attribute("aria-pressed", "false")
    expect(bar.get_by_role("slider", name="From hour")).to_have_attribute("aria-valuetext", "14:00")
    assert slider(page, "Until hour") == "24:00"
    assert [bar.get_by_label(f"{end} day").input_value() for end in ("First", "Last")] == ["2026-05-12"] * 2

    plot = page.locator(".cr-hours-plot").bounding_box()
    assert plot is not None
    middle = plot["y"] + plot["height"] / 2
    with answering(page):  # brushed from 6 to 12
        page.mouse.move(plot["x"] + plot["width"] * 0.25, middle)
        page.mouse.down()
        page.mouse.move(plot["x"] + plot["width"] * 0.4, middle)
        page.mouse.move(plot["x"] + plot["width"] * 0.5, middle)
        page.mouse.up()
    expect(page.locator("#chips")).to_contain_text("06:00 to 12:00", timeout=PATIENCE)
    bar.get_by_role("slider", name="From hour").focus()
    with answering(page):  # past the other one: over midnight
        page.keyboard.press("End")
        page.keyboard.press("ArrowLeft")
    expect(page.locator("#chips")).to_contain_text("23:00 to 12:00", timeout=PATIENCE)
    expect(bar.locator("output")).to_have_text("23:00 to 12:00, over midnight")
    expect(bar.get_by_role("slider", name="From hour")).to_be_focused()
    with answering(page):
        bar.get_by_label("First day").select_option("2026-05-11")
    before = chips(page)
    assert "11 May 2026 to 12 May 2026" in before and "woman" in before

    page.reload()
    expect(page.locator("#chips")).to_contain_text("11 May 2026 to 12 May 2026", timeout=PATIENCE)
    assert chips(page) == before
    expect(bar.locator("output")).to_have_text("23:00 to 12:00, over midnight")
    with answering(page):
        page.locator("#undo").click()
    expect(bar.get_by_label("First day")).to_have_value("2026-05-12", timeout=PATIENCE)
    with answering(page):
        bar.get_by_role("button", name="All day").click()
    expect(page.locator("#chips")).not_to_contain_text("23:00", timeout=PATIENCE)
    page.context.close()
    assert problems == []


def test_on_a_phone_the_bar_is_folded_and_a_finger_brushes_it(browser: Browser, three_days: Served) -> None:
    page, problems = opened(browser, three_days, viewport={"width": 390, "height": 844}, has_touch=True)
    fold, plot = page.locator("#filters [data-fold]"), page.locator(".cr-hours-plot")
    expect(fold).to_have_attribute("aria-expanded", "false")
    expect(plot).to_be_hidden()
    fold.tap()
    expect(plot).to_be_visible()
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None
    touch = page.context.new_cdp_session(page)

    def finger(kind: str, *share: float) -> None:
        points = [{"x": box["x"] + box["width"] * one, "y": box["y"] + 20} for one in share]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    with answering(page):
        finger("touchStart", 0.25)
        for share in (0.3, 0.4, 0.5):
            finger("touchMove", share)
        finger("touchEnd")
    expect(page.locator("#chips")).to_contain_text("06:00 to 12:00", timeout=PATIENCE)
    expect(plot).to_be_visible()  # it stays open over the step
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.context.close()
    assert problems == []


def test_candidates_by_person_keep_their_numbers(page: Page) -> None:
    say(page, "a woman in a red jacket")
    everyone, cards = shown(page), page.locator("#candidates button[data-id]")
    page.get_by_role("button", name="Group by person").click()
    status = page.locator("#candidates .cr-order [role=status]")
    expect(status).to_contain_text("people or so", timeout=PATIENCE)
    people = page.locator("#candidates .cr-grid > li:visible").count()
    expect(status).to_contain_text(f"12 of 672 candidates, {people} people or so")
    assert people < 12 == cards.count() and sorted(shown(page)) == sorted(everyone)
    numbers = cards.evaluate_all("all => all.map(one => [one.dataset.id, one.ariaLabel])")
    for image_id, label in numbers:  # those that the chat uses
        assert label.startswith(f"Candidate {everyone.index(image_id) + 1}:")

    stack = page.locator("#candidates button[data-stack]").first
    below = page.locator(f'#candidates [data-below="{stack.get_attribute("data-stack")}"] button[data-id]')
    expect(below.first).to_be_hidden()
    number = int(str(below.first.get_attribute("aria-label")).split(":")[0].removeprefix("Candidate "))
    say(page, f"number {number}")  # what is selected is never out of sight
    expect(below.first).to_have_attribute("aria-pressed", "true", timeout=PATIENCE)
    expect(below.first).to_be_visible()
    stack.click()
    expect(below.first).to_be_hidden()
    stack.click()
    expect(stack).to_have_attribute("aria-expanded", "true")
    page.get_by_role("button", name="Earliest").click()
    expect(status).to_contain_text("earliest first", timeout=PATIENCE)
    tops = page.locator("#candidates .cr-grid > li:not(.cr-below) > .cr-card")
    first = tops.evaluate_all("all => all.map(one => Number(one.ariaLabel.match(/[0-9]+/)[0]))")
    assert first == sorted(first) and len(first) == people
    page.get_by_role("button", name="Show 12 more").click()
    expect(status).to_contain_text("24 best of 672 candidates", timeout=PATIENCE)
    page.reload()
    expect(status).to_contain_text("people or so", timeout=PATIENCE)
    page.get_by_role("button", name="Group by person").click()
    expect(page.locator("#candidates .cr-below")).to_have_count(0, timeout=PATIENCE)
    choose(page, 1)
