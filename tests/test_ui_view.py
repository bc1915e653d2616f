"""The pieces of HTML: nothing of the operator's or the gallery's text gets through as markup."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.model.vocabulary import Attribute
from app.retrieval.comparison import Comparison
from app.retrieval.query import Query, Reference
from app.retrieval.ranking import Candidate, Ranking, Timings
from app.ui.cards import Card, camera_name, grid_html, make_cards, percent
from app.ui.comparing import compare
from app.ui.jobs import Job
from app.ui.panel import Sought, chips_html, selected_html
from app.ui.querying import query_json
from app.ui.sessions import MOST_SESSIONS, Sessions
from app.ui.view import progress_words
from gallery_store.crops import Crop, Filters

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
        "nobody_fits": False,
        "timings": Timings(total=1.23),
    }
    return Ranking(**{**made, **changes})  # type: ignore[arg-type]


@given(st.text(max_size=30), st.text(max_size=30))
def test_text_never_becomes_markup(first: str, second: str) -> None:
    first, second = first + EVIL, EVIL + second
    pages = [
        grid_html([card(camera=first, thumbnail=second)], ranking(), None, 3),
        selected_html(card(camera=first), Sought((second,), first), Comparison()),
        selected_html(card(), Sought((), second), Comparison()),
        selected_html(card(), Sought(), Comparison(), [card(camera=first, thumbnail=second)]),
        chips_html([(first, second, "text")]),
    ]
    for page in pages:
        tags = re.sub(r'"[^"]*"', '""', page)  # what stands inside attributes is quoted
        assert "onerror" not in "".join(re.findall(r"<[^>]*>", tags))


def test_the_selected_panel_shows_what_was_judged_together() -> None:
    kin = [card(image_id=8, thumbnail="crops/8.jpg?v=cd")]
    page = selected_html(card(), Sought(), Comparison(), kin)
    assert "Judged together with" in page
    assert '<img src="crops/8.jpg?v=cd" alt="Crop 8" loading="lazy"><span>camera 3, 14:05:06</span>' in page
    assert "Judged together with" not in selected_html(card(), Sought(), Comparison())


def test_a_card_names_place_time_and_confidence() -> None:
    page = grid_html([card(), card(image_id=8, weak=True, camera=None, time=None)], ranking(), 7, 0)
    assert 'aria-label="Candidate 1: camera 3, 14:05:06, confidence 80%"' in page
    assert 'aria-label="Candidate 2: no camera or time, confidence 80%, weak"' in page
    assert page.count('aria-pressed="true"') == 1 and page.count(">weak<") == 1
    assert "8 crops searched · 5 read by the model · 1.2 s" in page
    assert "data-more" not in page


def test_the_grid_says_when_nobody_fits_and_what_is_uncalibrated() -> None:
    assert "Nobody" in grid_html([card()], ranking(no_match=True), None, 0)
    assert "uncalibrated" in grid_html([card()], ranking(calibrated=False), None, 0)
    assert "No crop passes" in grid_html([], ranking(searched=0), None, 0)
    assert "Candidates appear here" in grid_html([], None, None, 0)
    assert "Show 5 more" in grid_html([card()], ranking(), None, 5)
    assert "Show 12 more" in grid_html([card()], ranking(), None, 99)


@pytest.mark.parametrize(
    "value, shown", [(0.0, "1%"), (0.004, "1%"), (0.5, "50%"), (0.996, "99%"), (1.0, "99%")]
)
def test_a_confidence_is_never_certainty(value: float, shown: str) -> None:
    assert percent(value) == shown


@pytest.mark.parametrize(
    "camera, shown",
    [("3", "camera 3"), ("c03", "camera 3"), ("Front door", "Front door"), (None, ""), ("", "")],
)
def test_camera_names(camera: str | None, shown: str) -> None:
    assert camera_name(camera) == shown


def test_cards_tell_local_time_with_its_offset() -> None:
    crop = Crop(
        id=5, sha256="ab" * 32, path="x/y.jpg", file=Path("/m/y.jpg"), camera="2", person=None, clothes=None, tags=(),
        time=datetime(2026, 7, 1, 12, 0, tzinfo=UTC), width=1, height=1, frame=None,
    )  # fmt: skip
    made = make_cards([Candidate(5, 0.25, 0.5, 0.123456)], [crop], ZoneInfo("Europe/Paris"))[0]
    assert made.as_json() == {
        "image_id": 5, "path": "x/y.jpg", "camera": "2", "time": "2026-07-01T14:00:00+02:00",
        "similarity": 0.25, "probability": 0.1235,
    }  # fmt: skip
    assert made.thumbnail == "crops/5.jpg?v=abababababab"


def attributes(**pairs: str) -> list[Attribute]:
    return [Attribute(kind, value) for kind, value in pairs.items()]


def test_comparing_with_words() -> None:
    query = Query(wanted=tuple(attributes(gender="woman", upper="jacket", hat="none")))
    found = compare(
        query, [], attributes(gender="woman", upper="coat", hat="none", bag="none", lower="jeans")
    )
    assert found.common == (Attribute("gender", "woman"), Attribute("hat", "none"))
    assert found.only_first == (Attribute("upper", "jacket"),)
    assert found.only_second == (Attribute("upper", "coat"), Attribute("lower", "jeans"))


def test_words_overrule_the_pictures_and_most_pictures_say() -> None:
    query = Query(
        wanted=(Attribute("upper", "coat"),), references=(Reference(image_id=1), Reference(image_id=2))
    )
    pictures = [
        attributes(gender="man", upper="shirt"),
        attributes(gender="woman"),
        attributes(gender="woman"),
    ]
    found = compare(query, pictures, attributes(gender="woman", upper="coat"))
    assert found == Comparison(common=(Attribute("gender", "woman"), Attribute("upper", "coat")))


def test_a_picture_in_which_nothing_was_read_differs_in_nothing() -> None:
    assert compare(Query(wanted=tuple(attributes(gender="man"))), [], []) == Comparison()


def test_a_query_as_plain_data() -> None:
    query = Query(
        wanted=(Attribute("upper", "coat"),),
        unwanted=(Attribute("hat", "cap"), Attribute("hat", "hat")),
        references=(Reference(image_id=4), Reference(file=Path("/tmp/secret/me.jpg"))),
        filters=Filters(cameras=("3",), after=datetime(2026, 1, 1, 14, 0).time()),
        rejected=frozenset({9, 2}),
    )
    plain = query_json(query)
    assert plain["kind"] == "image-plus-text"
    assert plain["wanted"] == {"upper": "coat"} and plain["unwanted"] == {"hat": ["cap", "hat"]}
    assert plain["references"] == [{"image_id": 4}, {"photo": "me.jpg"}]
    assert plain["filters"]["after"] == "14:00" and plain["rejected"] == [2, 9]


def test_sessions_are_kept_apart_and_forgotten_when_idle() -> None:
    now = [0.0]
    sessions = Sessions(hours=1, clock=lambda: now[0])
    first = sessions.get("ann", "tab")
    assert sessions.get("ann", "tab") is first
    assert sessions.get("ann", "other") is not first and sessions.get("bob", "tab") is not first
    now[0] = 3500
    assert sessions.get("ann", "tab") is first
    now[0] = 7000  # an hour after its last use is not over
    assert sessions.get("ann", "tab") is first and len(sessions) == 1
    now[0] = 20_000
    assert sessions.get("ann", "tab") is not first


def test_there_are_never_too_many_sessions() -> None:
    sessions = Sessions(hours=1)
    kept = sessions.get("ann", "kept")
    for number in range(MOST_SESSIONS + 10):
        sessions.get("bob", str(number))
        assert sessions.get("ann", "kept") is kept
    assert len(sessions) == MOST_SESSIONS


def test_a_job_reports_and_passes_on_its_problem() -> None:
    def work(tell: object) -> None:
        tell("rerank", 3, 8)  # type: ignore[operator]
        import time

        time.sleep(0.2)
        raise ValueError("no")

    seen = []
    with pytest.raises(ValueError, match="no"):
        for job in Job(work).ticks(0.02):
            seen.append(progress_words(job))
    assert seen and seen[-1] == "Reading candidates, 3 of 8…"
