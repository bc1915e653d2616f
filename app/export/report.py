"""What the report of a case says: sightings, what was ruled out, the query, who searched when and with which model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from app.cards import percent
from app.case_steps import read_ranking, told_in
from app.chat.board import NOTE, TAKE_OFF, Sighting, board_of
from app.chat.chips import chips_of
from app.chat.conversation import Turn
from app.chat.search_state import SearchState
from app.query_json import NO_SEARCH
from app.retrieval.ranking import Candidate
from app.settings import FUSED
from app.timeline import Stop, still_there, timeline
from gallery_store.audit import SearchRecord
from gallery_store.cases import CaseRecord
from gallery_store.crops import Crop
from gallery_store.errors import GalleryError
from gallery_store.location import location_shown
from gallery_store.store import GalleryStore

MEANINGS = (
    "Everything here is a candidate that somebody looked at, never an identity. Look at the pictures yourself, and "
    "confirm by other means before anyone is stopped, accused or followed.",
    "A confidence says how often a candidate with such scores was the right person among the people that the model was "
    "checked on. It is not evidence. It is the one that stood beside the candidate when it was judged.",
    "“Weak” is below what usually fits. “Uncalibrated” and “not judged” mean that there is a rank and no confidence.",
)
_DONE = {
    "search-with": "Searched with",
    "confirm": "Confirmed",
    "reject": "Ruled out",
    NOTE: "Noted on",
    TAKE_OFF: "Took off the board",
}


@dataclass(frozen=True)
class Judged:
    """A crop that was confirmed or ruled out. stop: where and when it was seen. said, by: when it was judged, in the
    gallery's zone, and by whom. confidence: "93%", or why there is none. rank: its place among the candidates then, 1
    the first.
    """

    stop: Stop
    said: datetime
    by: str
    confidence: str
    weak: bool
    rank: int | None
    picture: str = ""  # its file in the export; "" where there is none
    problem: str = ""  # what is wrong with the picture

    @property
    def crop(self) -> Crop | None:
        return self.stop.crop


@dataclass(frozen=True)
class Photo:
    """A picture of the query: a photo, or a crop that stands for the person. name: what the operator's file is called,
    or where the crop was seen. kept_as: the photo's name in the gallery.
    """

    name: str
    kept_as: str = ""
    crop: Crop | None = None
    picture: str = ""


@dataclass(frozen=True)
class Step:
    """time: in the gallery's zone. words: what the operator said or did. by: which one, where several did."""

    time: datetime
    words: str
    by: str = ""


@dataclass(frozen=True)
class Used:
    """What answered some of the searches. facts: rows of a table. first, last: when, in the gallery's zone."""

    facts: tuple[tuple[str, str], ...]
    first: datetime
    last: datetime
    searches: int


@dataclass(frozen=True)
class Report:
    """All of it; times in `zone`. sightings: in the order of time. rejected: in the order in which they were ruled out.

    query: the last one, in words. photos: those of the case, and the crops that the query has besides the sightings.
    """

    case: CaseRecord
    exported_by: str
    made: datetime
    zone: ZoneInfo
    gallery: str
    reason: str
    sightings: tuple[Judged, ...]
    rejected: tuple[Judged, ...]
    query: tuple[str, ...]
    photos: tuple[Photo, ...]
    steps: tuple[Step, ...]
    used: tuple[Used, ...]
    meanings: tuple[str, ...] = MEANINGS


def report_of(store: GalleryStore, case: str, user: str, exported_by: str, now: datetime) -> Report:
    """The report of a case as it is kept. KeyError where the user has no such case.

    exported_by: who asked for it. now: aware. Raises GalleryError where the gallery, or this case, cannot be read.
    """
    kept = store.cases.read(case, user)
    try:
        turns, numbers, reason = told_in(kept)
        users = [kept.users[number - 1] for number in numbers]
        board = board_of(turns)
        judgements = {
            image_id: _judgement(store, case, numbers[turn], image_id)
            for turn, image_id in {(one.turn, one.image_id) for one in (*board.confirmed, *board.rejected)}
        }
    except ValueError as problem:
        raise GalleryError("the case was kept by another version of ChatReID and cannot be read") from problem
    zone = store.zone
    said = [kept.times[number - 1].astimezone(zone) for number in numbers]
    record = store.cases.record(case)
    makers = {record.user, *users}
    known = turns[-1].after if turns else SearchState()
    last = _last_query(turns) if known.is_empty else known
    of_query = [Sighting(one.image_id, 0) for one in last.references if one.image_id is not None]
    crops = still_there(store, (*board.confirmed, *board.rejected, *of_query))

    def judged(stop: Stop) -> Judged:
        confidence, weak, rank = judgements[stop.image_id]
        turn = stop.sighting.turn
        return Judged(stop, said[turn], users[turn], confidence, weak, rank)

    others = timeline([one for one in of_query if board.of(one.image_id) is None], crops, zone)
    return Report(
        case=record,
        exported_by=exported_by,
        made=now.astimezone(zone),
        zone=zone,
        gallery=location_shown(store.location).rsplit("/", 1)[-1],
        reason=reason,
        sightings=tuple(map(judged, timeline(board.confirmed, crops, zone))),
        rejected=tuple(judged(_stop(one, crops, zone)) for one in board.rejected),
        query=tuple(chip.label for chip in chips_of(last)),
        photos=(*_photos(turns), *map(_query_crop, others)),
        steps=tuple(
            Step(time, words, by if len(makers) > 1 else "")
            for time, turn, by in zip(said, turns, users, strict=True)
            if (words := _in_words(turn))
        ),
        used=_used(store.searches_of(case), zone),
    )


def _judgement(store: GalleryStore, case: str, number: int, image_id: int) -> tuple[str, bool, int | None]:
    """What stood beside a candidate when step `number` judged it: confidence in words, weak, its place from 1."""
    ranking = read_ranking(store.cases.ranking_before(case, number))
    for place, candidate in enumerate(ranking.candidates if ranking else (), start=1):
        if candidate.image_id == image_id:
            return _confidence(candidate), candidate.weak, place
    return "not among the candidates then", False, None


def _confidence(candidate: Candidate) -> str:
    return candidate.caution if candidate.probability is None else percent(candidate.probability)


def _stop(sighting: Sighting, crops: Mapping[int, Crop], zone: ZoneInfo) -> Stop:
    """Without what lay between it and another."""
    return timeline([sighting], crops, zone)[0]


def _last_query(turns: Sequence[Turn]) -> SearchState:
    return next((turn.after for turn in reversed(turns) if not turn.after.is_empty), SearchState())


def _photos(turns: Sequence[Turn]) -> tuple[Photo, ...]:
    """All that the case brought, each once."""
    named = dict.fromkeys(photo for turn in turns for photo in turn.photos)
    return tuple(Photo(photo.name, photo.as_posix()) for photo in named)


def _query_crop(stop: Stop) -> Photo:
    time = f", {stop.time:%d %b %Y, %H:%M:%S}" if stop.time else ""
    return Photo(f"Crop {stop.image_id}: {stop.camera}{time}", crop=stop.crop)


def _in_words(turn: Turn) -> str:
    """What the operator said, or did with a button; "" for an empty message."""
    if turn.action == "remove-chip":
        return "Took away a part of the query"
    if turn.action in _DONE:
        words = f"{_DONE[turn.action]} crop {turn.image_id}"
        return f"{words}: {turn.text}" if turn.text else words
    photos = f"{len(turn.photos)} {'photo' if len(turn.photos) == 1 else 'photos'}" if turn.photos else ""
    return " + ".join(filter(None, (turn.text, photos)))


def _used(searches: Sequence[SearchRecord], zone: ZoneInfo) -> tuple[Used, ...]:
    """Each model and calibration that answered searches of the case, the first one first."""
    used: dict[tuple[tuple[str, str], ...], Used] = {}
    for search in searches:
        if NO_SEARCH & set(search.query):
            continue
        facts, time = _facts(search.query.get("engine")), search.time.astimezone(zone)
        before = used.get(facts, Used(facts, time, time, 0))
        used[facts] = replace(before, last=time, searches=before.searches + 1)
    return tuple(used.values())


def _facts(engine: Mapping[str, Any] | None) -> tuple[tuple[str, str], ...]:
    """As app.query_json.engine_json has it, in words."""
    if engine is None:
        return (("Model", "not recorded by the version that searched"),)
    facts = [
        ("Model", engine["model"] or "none: CLIP alone"),
        *(("SHA-256 of " + name, digest) for name, digest in engine["weights"].items()),
        ("Ranked by", engine["ranker"]),
        ("CLIP", engine["clip"]),
        ("Re-ID encoder", engine["reid"] or ""),
    ]
    fitted = engine["calibration"]
    if fitted is None or engine["ranker"] != FUSED:
        facts.append(("Calibration", "none: candidates have a rank, and no confidence"))
    else:
        facts.append(("Calibration", ", ".join(f"{name} {value:.4g}" for name, value in fitted.items())))
        facts.append(("Weak below", percent(fitted["threshold"])))
    return tuple((name, str(value)) for name, value in facts if value)


def suffix_of(name: str) -> str:
    """How a picture's file is to end: as it did, where that is a plain suffix."""
    suffix = Path(name).suffix.lower()
    return suffix if suffix[1:].isalnum() and suffix.isascii() and len(suffix) <= 5 else ".bin"
