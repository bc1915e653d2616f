"""Pictures in real Chromium: at full size and beside each other; dropped, pasted, and cut out of a whole scene."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from app.cards import Card
from app.retrieval.comparison import Comparison
from app.settings import DEMO_GALLERY
from app.ui.html import Sought, selected_html
from tests.browser.in_process import gated_app
from tests.browser.pages import PATIENCE, answering, chips, choose, opened, say, shown
from tests.serving import Served

pytestmark = [pytest.mark.slow, pytest.mark.browser]
GIVE = """([kind, name, type, base64]) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const given = new DataTransfer();
    given.items.add(new File([bytes], name, { type }));
    const how = { bubbles: true, cancelable: true };
    if (kind === 'paste') document.body.dispatchEvent(new ClipboardEvent('paste', { ...how, clipboardData: given }));
    else document.querySelector('#candidates').dispatchEvent(new DragEvent(kind, { ...how, dataTransfer: given }));
}"""

IS_INSIDE = "() => document.activeElement === document.body || !!document.activeElement.closest('.cr-viewer')"
IS_IN_REACH = """(dialog) => [...dialog.querySelectorAll('button')].filter((one) => one.checkVisibility())
    .every((one) => {
    const { left, right, bottom, height } = one.getBoundingClientRect();
    return left >= 0 && right <= innerWidth && bottom <= innerHeight && height >= 40;
})"""


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


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four people of the demo side by side: what a camera shows."""
    path = tmp_path_factory.mktemp("frames") / "frame.jpg"
    scene = Image.new("RGB", (800, 400), "grey")
    for place, crop in enumerate(sorted(DEMO_GALLERY.glob("*.jpg"))[:24:6]):
        with Image.open(crop) as person:
            scene.paste(person.resize((160, 320)), (20 + 200 * place, 60))
    scene.save(path, quality=95)
    return path


def viewer(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Pictures at full size")


def caption(page: Page, pane: str = "first") -> Locator:
    return viewer(page).locator(f'[data-pane="{pane}"] figcaption')


def scale(page: Page, pane: str = "first") -> float:
    transform = (
        viewer(page).locator(f'[data-pane="{pane}"] img').evaluate("i => getComputedStyle(i).transform")
    )
    return float(re.findall(r"[\d.]+", transform)[0])


def test_a_picture_opens_at_full_size_with_zoom_and_pan(page: Page) -> None:
    say(page, "a woman in a red jacket")
    ids = shown(page)
    card = page.locator(f'#candidates button[data-id="{ids[1]}"]')
    card.focus()
    page.keyboard.press("z")
    expect(viewer(page)).to_be_visible()
    expect(caption(page)).to_have_text(
        re.compile(r"Candidate 2 of 12 Camera \d 12 May 2026, \d\d:\d\d:\d\d unc")
    )
    image = viewer(page).locator('[data-pane="first"] img')
    expect(image).to_have_attribute("src", re.compile(rf"^originals/{ids[1]}\?v="))
    expect(image).to_have_js_property("naturalHeight", 256)
    expect(viewer(page).get_by_role("button", name="Query")).to_be_hidden()  # words alone have no picture

    page.keyboard.press("ArrowRight")
    expect(caption(page)).to_contain_text("Candidate 3 of 12")
    expect(viewer(page).locator(".cr-heard")).to_contain_text("Candidate 3, Camera")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(caption(page)).to_contain_text("Candidate 1 of 12")
    expect(viewer(page).get_by_role("button", name="Previous picture")).to_be_disabled()
    viewer(page).get_by_role("button", name="Next picture").click()
    expect(caption(page)).to_contain_text("Candidate 2 of 12")

    page.keyboard.press("+")
    page.keyboard.press("+")
    assert scale(page) == pytest.approx(1.96, abs=0.01)
    before = image.bounding_box()
    page.keyboard.press("ArrowDown")  # moves the picture now
    expect(caption(page)).to_contain_text("Candidate 2 of 12")
    after = image.bounding_box()
    assert before is not None and after is not None and after["y"] < before["y"]
    page.mouse.move(720, 450)
    page.mouse.down()
    page.mouse.move(720, 520, steps=4)
    page.mouse.up()
    dragged = image.bounding_box()
    assert dragged is not None and dragged["y"] == pytest.approx(after["y"] + 70, abs=2)
    zoom = viewer(page).get_by_label("Zoom", exact=True)
    was = zoom.inner_text()
    page.mouse.wheel(0, -300)
    expect(zoom).not_to_have_text(was)
    assert scale(page) > 2.5
    page.keyboard.press("PageDown")
    expect(caption(page)).to_contain_text("Candidate 3 of 12")
    page.keyboard.press("0")
    assert scale(page) == 1
    for _ in range(12):  # the focus stays inside; between last and first it is the browser's own
        page.keyboard.press("Tab")
        assert page.evaluate(IS_INSIDE)
    page.keyboard.press("Escape")
    expect(viewer(page)).to_be_hidden()
    expect(card).to_be_focused()
    assert card.get_attribute("aria-pressed") == "false"  # looking selects nobody

    page.keyboard.press("z")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator(f'#candidates button[data-id="{ids[2]}"]')).to_have_attribute("aria-pressed", "true")
    expect(page.locator(f'#candidates button[data-id="{ids[2]}"]')).to_be_focused()
    page.locator(f'#candidates button[data-id="{ids[3]}"]').dblclick()
    expect(caption(page)).to_contain_text("Candidate 4 of 12")
    viewer(page).get_by_role("button", name="Close").click()
    expect(viewer(page)).to_be_hidden()


def test_two_candidates_are_compared_beside_the_query_and_sightings_open(page: Page) -> None:
    say(page, "a woman in a red jacket")
    person = choose(page, 0)
    with answering(page):
        page.locator("#search-with-this").click()
    choose(page, 0)
    page.locator("#selected .cr-pair .cr-enlarge").click()
    query = viewer(page).locator('[data-pane="query"] img')
    expect(query).to_have_attribute("src", re.compile(rf"^originals/{person}\?"))
    page.keyboard.press("c")
    expect(caption(page, "first")).to_contain_text("Candidate 1 of")
    expect(caption(page, "second")).to_contain_text("Candidate 2 of")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(caption(page, "second")).to_contain_text("Candidate 4 of")
    expect(caption(page, "first")).to_contain_text("Candidate 1 of")  # stays
    viewer(page).locator('[data-pane="first"]').get_by_role("button", name="Next picture").click()
    expect(caption(page, "first")).to_contain_text("Candidate 2 of")
    page.keyboard.press("+")
    assert scale(page, "first") == scale(page, "second") == scale(page, "query") == pytest.approx(1.4)
    page.keyboard.press("q")
    expect(query).to_be_hidden()
    page.keyboard.press("c")
    expect(caption(page, "second")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.locator("#selected .cr-pair .cr-enlarge")).to_be_focused()
    for _ in range(2):
        choose(page, 0)
        with answering(page):
            page.locator("#confirm").click()
    page.locator(".cr-sighting").first.click()
    page.locator("dialog[open] .cr-enlarge").click()
    expect(caption(page)).to_contain_text("Sighting 1 Camera")
    page.keyboard.press("ArrowRight")
    expect(caption(page)).to_contain_text("Sighting 2 Camera")
    page.keyboard.press("Escape")
    expect(viewer(page)).to_be_hidden()
    expect(page.locator("dialog[open] .cr-enlarge")).to_be_focused()


def test_what_was_judged_together_opens(page: Page) -> None:
    """This gallery's models judge nobody together, so the panel is given the section for two of its crops."""
    say(page, "a woman in a red jacket")
    choose(page, 0)
    ids = [int(choose(page, place)) for place in (1, 2)]
    kin = [
        Card(one, "", "1", None, 0.0, None, False, thumbnail=f"crops/{one}.jpg", original=f"originals/{one}")
        for one in ids
    ]
    panel = selected_html(kin[0], Sought(), Comparison(), kin)
    page.locator("#selected").evaluate("(panel, html) => panel.insertAdjacentHTML('beforeend', html)", panel)
    together = page.locator("#selected .cr-kin .cr-enlarge")
    together.last.click()
    expect(caption(page)).to_contain_text("Judged together 2 of 2")
    page.keyboard.press("ArrowLeft")
    expect(viewer(page).locator('[data-pane="first"] img')).to_have_attribute("src", f"originals/{ids[0]}")
    page.keyboard.press("Escape")
    expect(together.last).to_be_focused()


def test_on_a_phone_by_touch(browser: Browser, served_here: Served, frame: Path) -> None:
    page, problems = opened(
        browser, served_here, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    say(page, "a woman in a red jacket")
    page.locator("#candidates .cr-zoom").nth(1).tap()
    expect(caption(page)).to_contain_text("Candidate 2 of 12")
    assert viewer(page).evaluate(IS_IN_REACH)
    touch = page.context.new_cdp_session(page)

    def fingers(kind: str, *points: tuple[int, int]) -> None:
        touch.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(points)]},
        )

    fingers("touchStart", (300, 400))
    fingers("touchMove", (200, 402))
    fingers("touchMove", (120, 404))
    fingers("touchEnd")
    expect(caption(page)).to_contain_text("Candidate 3 of 12")
    fingers("touchStart", (180, 400), (210, 400))
    fingers("touchMove", (150, 400), (240, 400))
    fingers("touchMove", (120, 400), (270, 400))
    fingers("touchEnd")
    expect(viewer(page)).to_have_class(re.compile("is-zoomed"))
    assert scale(page) > 3
    fingers("touchStart", (200, 400))
    fingers("touchMove", (80, 400))
    fingers("touchEnd")
    expect(caption(page)).to_contain_text("Candidate 3 of 12")  # one finger moves an enlarged picture
    viewer(page).get_by_role("button", name="Close").click()
    expect(viewer(page)).to_be_hidden()

    give(page, "drop", frame)
    box = page.get_by_role("slider", name="Box around the person")
    expect(box).to_be_in_viewport(timeout=PATIENCE)
    page.wait_for_timeout(300)  # the page comes to rest
    area = page.locator("#cropper .cr-crop").bounding_box()
    assert area is not None and area["width"] <= 390
    at = [
        (round(area["x"] + x * area["width"]), round(area["y"] + y * area["height"]))
        for x, y in ((0.05, 0.1), (0.15, 0.5), (0.25, 0.9))
    ]
    for kind, place in zip(("touchStart", "touchMove", "touchMove"), at, strict=True):
        fingers(kind, place)
    fingers("touchEnd")
    assert sides(box) == pytest.approx([0.05, 0.1, 0.25, 0.9], abs=0.02)
    page.context.close()
    assert problems == []


def give(page: Page, kind: str, file: Path, media_type: str = "image/jpeg") -> None:
    """Drop, paste or drag a file over the page, and not over the field of the message."""
    page.evaluate(GIVE, [kind, file.name, media_type, base64.b64encode(file.read_bytes()).decode()])


def attached(page: Page) -> Locator:
    return page.locator("#message .thumbnail-wrapper")


def sides(box: Locator) -> list[float]:
    return [float(side) for side in str(box.get_attribute("data-box")).split(",")]


def test_a_photo_is_dropped_or_pasted_anywhere(page: Page, tmp_path: Path) -> None:
    person, letter = sorted(DEMO_GALLERY.glob("*.jpg"))[0], tmp_path / "letter.txt"
    letter.write_text("no picture")
    overlay = page.get_by_text("Drop the photo to search with it")
    give(page, "dragover", person)
    expect(overlay).to_be_visible()
    expect(overlay).to_be_hidden()  # it went elsewhere
    give(page, "dragover", person)
    give(page, "drop", person)
    expect(overlay).to_be_hidden()
    expect(attached(page)).to_have_count(1, timeout=PATIENCE)
    give(page, "paste", person)
    expect(attached(page)).to_have_count(2, timeout=PATIENCE)
    give(page, "drop", letter, "text/plain")
    expect(page.locator("#drop [role=status]")).to_have_text("“letter.txt” is no picture.")
    expect(page.locator("#cropper .cr-crop-box")).to_have_count(0)  # one person fills it
    page.locator("#message textarea").fill("in a red jacket")
    with answering(page):
        page.locator("#message [data-testid=submit-button]").click()
    expect(page.locator("#chips li")).to_have_count(3)
    assert chips(page).count("photo") == 2 and "red jacket" in chips(page)


def test_a_scene_is_searched_with_only_as_it_is_cut(page: Page, frame: Path) -> None:
    give(page, "drop", frame)
    box = page.get_by_role("slider", name="Box around the person")
    expect(box).to_be_focused(timeout=PATIENCE)

    # By keyboard, with values that a screen reader says.
    expect(box).to_have_attribute("aria-valuetext", "left 30 %, top 5 %, width 40 %, height 90 %")
    for key in ("ArrowRight", "ArrowDown", "Shift+ArrowLeft", "Shift+ArrowUp"):
        page.keyboard.press(key)
    expect(box).to_have_attribute("aria-valuetext", "left 31 %, top 6 %, width 39 %, height 89 %")

    # By mouse: every edge and corner follows its own sides; what is drawn takes its place.
    area = page.locator("#cropper .cr-crop").bounding_box()
    assert area is not None

    def drag(start: tuple[float, float], by: tuple[float, float]) -> list[float]:
        x, y = area["x"] + start[0] * area["width"], area["y"] + start[1] * area["height"]
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + by[0] * area["width"], y + by[1] * area["height"], steps=3)
        page.mouse.up()
        return sides(box)

    assert drag((0.1, 0.1), (0.3, 0.6)) == pytest.approx([0.1, 0.1, 0.4, 0.7], abs=0.01)  # drawn
    assert drag((0.25, 0.4), (0.1, 0.1)) == pytest.approx([0.2, 0.2, 0.5, 0.8], abs=0.01)  # moved
    corners = {(0.2, 0.2): (0, 1), (0.5, 0.2): (2, 1), (0.5, 0.8): (2, 3), (0.2, 0.8): (0, 3)}
    edges = {(0.35, 0.2): (1,), (0.5, 0.5): (2,), (0.35, 0.8): (3,), (0.2, 0.5): (0,)}
    for at, moves in {**corners, **edges}.items():
        expected = [0.2, 0.2, 0.5, 0.8]
        for side in moves:
            expected[side] += 0.05
        assert drag(at, (0.05, 0.05)) == pytest.approx(expected, abs=0.01), at
        drag((0.9, 0.95), (0.001, 0.001))  # a slip of the hand draws nothing
        assert sides(box) == pytest.approx(expected, abs=0.01)
        drag((0.9, 0.9), (0.05, 0.05))
        assert drag((0.2, 0.2), (0.3, 0.6)) == pytest.approx([0.2, 0.2, 0.5, 0.8], abs=0.01)

    # A message with the scene waits until it was cut; its words go along.
    page.locator("#message textarea").fill("with a hat")
    page.keyboard.press("Enter")
    expect(page.locator("#chatbot .bot").last).to_contain_text(
        "Draw a box around the person", timeout=PATIENCE
    )
    expect(page.locator("#message textarea")).to_have_value("with a hat")
    expect(attached(page)).to_have_count(1)
    assert chips(page) == []
    with answering(page):
        page.get_by_role("button", name="Search with this part").click()
    expect(page.locator("#cropper .cr-crop-box")).to_have_count(0)
    assert set(chips(page)) == {"photo", "hat"} and shown(page)
    expect(page.locator("#message textarea")).to_have_value("")
    expect(attached(page)).to_have_count(0)
    sent = page.locator("#chatbot .user img").last
    expect(sent).to_have_js_property("naturalWidth", 240)
    expect(sent).to_have_js_property("naturalHeight", 240)

    # Two at once are cut one after the other; Cancel takes a photo out; the whole is searched with where one says so.
    give(page, "drop", frame)
    expect(box).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Cancel").click()
    expect(box).to_have_count(0)
    expect(attached(page)).to_have_count(0)
    give(page, "drop", frame)
    expect(box).to_be_visible(timeout=PATIENCE)
    with answering(page):
        page.get_by_role("button", name="Use the whole photo").click()
    expect(page.locator("#chatbot .user img").last).to_have_js_property("naturalWidth", 720)
