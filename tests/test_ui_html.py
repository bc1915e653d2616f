"""The pieces of HTML: nothing of the operator's or the gallery's text gets through as markup."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cards import Card
from app.chat.chips import Chip
from app.model.checkpoint import CheckpointManifest
from app.retrieval.comparison import Comparison
from app.retrieval.rankers import ChosenRanker, choose_ranker
from app.retrieval.ranking import Ranking, Timings
from app.ui.html import (
    PAGE,
    UNCALIBRATED,
    Sought,
    candidates_html,
    chips_html,
    cropper_html,
    header_html,
    selected_html,
)

EVIL = "<img src=x onerror=alert(1)>\"'&"


def card(**changes: object) -> Card:
    made = {
        "image_id": 7, "path": "a.jpg", "camera": "3", "time": datetime(2026, 5, 12, 14, 5, 6, tzinfo=UTC),
        "similarity": 0.31, "probability": 0.8, "weak": False, "thumbnail": "crops/7.jpg?v=ab",
    }  # fmt: skip
    return Card(**{**made, **changes})  # type: ignore[arg-type]


def ranking(**changes: object) -> Ranking:
    made = {
        "candidates": (),
        "total": 9,
        "searched": 8,
        "scored": 5,
        "no_match": False,
        "timings": Timings(total=1.23),
    }
    return Ranking(**{**made, **changes})  # type: ignore[arg-type]


@given(st.text(max_size=30), st.text(max_size=30))
def test_text_never_becomes_markup(first: str, second: str) -> None:
    first, second = first + EVIL, EVIL + second
    pages = [
        candidates_html([card(camera=first, thumbnail=second)], ranking(), None, 3),
        selected_html(card(camera=first), Sought((second,), first), Comparison()),
        selected_html(card(), Sought((), second), Comparison()),
        selected_html(card(), Sought(), Comparison(), [card(camera=first, thumbnail=second)]),
        cropper_html(first, second),
        chips_html([Chip(first, second, "text"), Chip(first, first, "wanted", second)]),
    ]
    for page in pages:
        tags = re.sub(r'"[^"]*"', '""', page)  # what stands inside attributes is quoted
        assert "onerror" not in "".join(re.findall(r"<[^>]*>", tags))


def test_the_selected_panel_shows_what_was_judged_together() -> None:
    kin = [card(image_id=8, thumbnail="crops/8.jpg?v=cd")]
    page = selected_html(card(), Sought(), Comparison(), kin)
    assert "Judged together with" in page
    (opener,) = re.findall(r'<button[^>]*data-zoom="kin"[^>]*>', page)  # each opens at full size
    assert 'data-of="8"' in opener and f'data-picture="{kin[0].original}"' in opener
    assert '<img src="crops/8.jpg?v=cd" alt="camera 3, 14:05:06" loading="lazy">' in page
    assert "<span>camera 3, 14:05:06</span>" in page
    assert "Judged together with" not in selected_html(card(), Sought(), Comparison())


def test_a_card_names_place_time_and_confidence() -> None:
    page = candidates_html([card(), card(image_id=8, weak=True, camera=None, time=None)], ranking(), 7, 0)
    assert 'aria-label="Candidate 1: camera 3, 14:05:06, confidence 80%"' in page
    assert (
        'aria-label="Candidate 2: no camera or time, confidence 80%, weak: below what usually fits"' in page
    )
    assert re.findall(r'data-id="(\d+)" aria-pressed="true"', page) == ["7"] and page.count(">weak<") == 1
    assert "is-weak" not in page and ".is-weak" not in (PAGE / "style.css").read_text()  # a badge, not a veil
    assert "8 crops searched · 5 read by the model · 1.2 s" in page
    assert "data-more" not in page


def test_a_chip_shows_the_words_that_it_was_read_from() -> None:
    page = chips_html([Chip("wanted:upper", "red sweater", "wanted", "maroon jumper")])
    assert "red sweater" in page and "“maroon jumper”" in page
    assert "“" not in chips_html([Chip("wanted:upper", "red sweater", "wanted")])
    assert "read as shoes" in chips_html([Chip("wanted:shoes", "heels", "wanted", unread="read as shoes")])


def test_what_nobody_judged_has_a_rank_and_no_percentage() -> None:
    page = candidates_html([card(probability=None), card(image_id=8, probability=None)], ranking())
    assert 'aria-label="Candidate 2: camera 3, 14:05:06, not judged"' in page
    assert (
        '<span class="cr-number" aria-hidden="true">2</span>' in page
        and "%" not in page
        and "cr-bar" not in page
    )
    assert "not judged" in selected_html(card(probability=None), Sought(), Comparison())
    listed = ranking(scored=0, ranker=None, calibrated=False)
    assert "listed by time" in candidates_html([card()], listed) and "uncal" not in candidates_html(
        [card()], listed
    )
    unjudged = candidates_html([card()], ranking(scored=0, ranker="clip", calibrated=False, judged=False))
    assert "ranked by CLIP · 1.2 s · not judged" in unjudged and "uncalibrated" not in unjudged
    assert "ranked by CLIP · 1.2 s · uncalibrated" in candidates_html(
        [card()], ranking(scored=0, ranker="clip", calibrated=False)
    )


def test_the_grid_says_when_nobody_fits_and_what_is_uncalibrated() -> None:
    assert "Nobody" in candidates_html([card()], ranking(no_match=True), None, 0)
    assert "uncalibrated" in candidates_html([card()], ranking(calibrated=False), None, 0)
    assert "No crop passes" in candidates_html([], ranking(searched=0), None, 0)
    assert "Candidates appear here" in candidates_html([], None, None, 0)
    assert "Show 5 more" in candidates_html([card()], ranking(), None, 5)
    assert "Show 12 more" in candidates_html([card()], ranking(), None, 99)


def test_neither_a_template_of_javascript_nor_of_jinja_runs_what_a_camera_is_called() -> None:
    name = "${alert(1)} {{ 7 * 7 }} {% if %}"
    page = candidates_html([card(camera=name)], ranking())
    assert f">{name.capitalize()}<" in page and "49" not in page


def test_no_value_is_marked_as_safe() -> None:
    for template in PAGE.glob("*.html"):
        assert not re.search(r"\|\s*safe|autoescape|Markup", template.read_text("utf-8")), template


def test_line_breaks_beside_tags_are_no_text() -> None:
    page = candidates_html([card(), card(image_id=8)], ranking(), 7, 3) + chips_html([Chip("a", "b", "text")])
    assert "\n" not in re.sub(r"<[^>]*>", "", page)
    assert ">b<button" in page and "</li><li" in page


@pytest.mark.parametrize(
    ("manifest", "caution"),
    [
        (None, UNCALIBRATED["all"]),
        ({"ranker": "pairwise"}, "Ranked by pairwise: candidates have a rank, and no confidence."),
        ({"knows": ""}, UNCALIBRATED["all"]),
        ({"knows": "drawn people only"}, f"Knows drawn people only. {UNCALIBRATED['all']}"),
        ({"knows": "Knows drawn people only."}, f"Knows drawn people only. {UNCALIBRATED['all']}"),
        (
            {"knows": "drawn people only", "calibrations": {"clip@2": {}}},
            "Knows drawn people only. The model was not calibrated with clip, so CLIP alone ranks; --ranker fused "
            "lets the model rank too, uncalibrated.",
        ),
        ({"knows": "drawn people only", "calibrations": {"clip@1": {}}}, "Knows drawn people only."),
        ({"calibrations": {"clip@1": {}}}, ""),
    ],
)
def test_the_header_says_what_the_model_knows_and_whether_it_is_calibrated_with_this_clip(manifest, caution):
    made = None if manifest is None else CheckpointManifest("tuned", "base", **manifest)
    clip, market = (
        SimpleNamespace(name=name, version=version) for name, version in (("clip", "1"), ("market", "3"))
    )

    def cautions(reid=None):
        engine = SimpleNamespace(
            model=SimpleNamespace(name="tuned", manifest=made),
            encoder=clip,
            ranker=choose_ranker(None, made, *filter(None, (clip, reid))),
            store=SimpleNamespace(count=lambda: 2, cameras=lambda: ["1"]),
            reid=reid,
        )
        return re.findall(r'cr-caution">([^<]*)<', header_html(engine))

    assert cautions() == ([caution] if caution else [])
    if made is None or not made.calibrations:
        assert cautions(market) == cautions()
        return
    by_clip = "clip@1" in made.calibrations
    assert (UNCALIBRATED["pictures"] in " ".join(cautions(market))) is by_clip
    assert ("with clip or market, so CLIP alone ranks" in " ".join(cautions(market))) is not by_clip
    made.calibrations["market@3"] = {}
    assert (UNCALIBRATED["words"] in " ".join(cautions(market))) is not by_clip
    assert choose_ranker(None, made, clip, market) == ChosenRanker("fused")
    if by_clip:
        assert cautions(market) == cautions()


def test_the_grid_says_how_many_there_are_and_in_which_order() -> None:
    both = [card(), card(image_id=8)]
    page = candidates_html(both, ranking(), None, 1238, "latest")
    assert '<p role="status">2 best of 1,240<span class="cr-in-order">, latest first</span></p>' in page
    assert re.findall(r'data-order="(\w+)" aria-pressed="true"', page) == ["latest"]
    assert re.findall(r'data-order="(\w+)"', page) == ["fit", "earliest", "latest"]
    listed = candidates_html(both, ranking(ranker=None), None, 0)  # nothing says what the person looks like
    assert "Best fit" not in listed and "data-order" not in candidates_html(both[:1], ranking())


def test_a_card_says_the_day_where_there_is_more_than_one() -> None:
    page = candidates_html([card(day="12 May 2026")], ranking())
    assert '<span class="cr-line cr-day">12 May 2026</span>' in page and "3, 12 May 2026, 14:05:06" in page
    assert "cr-day" not in candidates_html([card()], ranking())
