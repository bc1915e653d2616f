"""Candidates as they are shown: names of cameras, local times, and confidences that are never certain."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from app.cards import camera_name, make_cards, percent
from app.retrieval.ranking import Candidate
from gallery_store.crops import Crop


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
    unjudged = make_cards([Candidate(5, 0.25, None, None)], [crop], ZoneInfo("Europe/Paris"))[0]
    assert unjudged.percent == "" and unjudged.as_json()["probability"] is None
    assert unjudged.as_json()["caution"] == "not judged"
    made = make_cards([Candidate(5, 0.25, 0.5, 0.123456)], [crop], ZoneInfo("Europe/Paris"))[0]
    assert made.as_json() == {
        "image_id": 5, "path": "x/y.jpg", "camera": "2", "time": "2026-07-01T14:00:00+02:00",
        "similarity": 0.25, "probability": 0.1235, "caution": "",
    }  # fmt: skip
    assert made.place == "camera 2, 14:00:00"
    dated = make_cards([Candidate(5, 0.25, 0.5, 0.1)], [crop], ZoneInfo("Asia/Tokyo"), with_day=True)[0]
    assert (dated.day, dated.place) == ("1 July 2026", "camera 2, 1 July 2026, 21:00:00")
    assert made.thumbnail == "crops/5.jpg?v=abababababab"
