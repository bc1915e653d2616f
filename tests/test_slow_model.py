"""A model that takes seconds for each candidate: Stop is heard after one of them, and the time shown is all of it.

The clock is a fake one that goes on by what the wrapped model computes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app import session as session_module
from app.in_line import STOPPED_WAITING
from app.model.line import Line
from app.model.pictures import Picture
from app.model.reid_model import ReidModel
from app.refused import Refused
from app.retrieval.engine import Engine
from app.service import ChatService
from app.ui.view import progress_words
from gallery_store.encoder import ClipEncoder
from gallery_store.importer import import_crops
from gallery_store.store import GalleryStore
from tests.clip_folder import make_clip_folder
from tests.operators import others_compute
from tests.tiny_qwen import noise_picture, tiny_folder

EACH = 2.0  # seconds that a candidate takes


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(session_module, "time", made)
    return made


@pytest.fixture
def slow(clock: Clock) -> ReidModel:
    """The toy model; each row that its language model goes on from a prefix by takes EACH seconds."""
    model = ReidModel.load(tiny_folder())
    model.warm_up()
    model._paces.clear()  # what it learnt of a fast model
    model.line = Line(clock=clock.perf_counter)
    assert model._loaded is not None
    language = model._loaded.language
    extend, step = language.extend, language.step

    def slow_extend(prefix: Any, rows: Any, *args: Any, **options: Any) -> Any:
        clock.now += EACH * len(rows)
        return extend(prefix, rows, *args, **options)

    def slow_step(ids: Any, *args: Any) -> Any:
        clock.now += EACH
        return step(ids, *args)

    language.extend, language.step = slow_extend, slow_step  # type: ignore[method-assign]
    return model


def pictures(count: int) -> list[Picture]:
    return [Picture(number, lambda number=number: noise_picture(number)) for number in range(count)]


def test_stop_is_heard_after_one_candidate(slow: ReidModel, clock: Clock) -> None:
    before = slow.yes_logits("a man", [], pictures(8))  # it learns how slow it is
    pressed = clock.now + 5
    scores = slow.yes_logits("a man", [], pictures(64), stop=lambda: clock.now >= pressed)
    assert pressed <= clock.now <= pressed + EACH
    assert np.isfinite(scores).sum() == 3
    np.testing.assert_allclose(scores[:3], before[:3], atol=1e-3)  # a batch changes no score


def test_the_first_batch_of_an_unknown_model_is_small(slow: ReidModel, clock: Clock) -> None:
    slow.yes_logits("a man", [], pictures(64), stop=lambda: clock.now > 0)
    assert clock.now <= 4 * EACH


@pytest.mark.parametrize("work", ["attribute_probs", "annotate"])
def test_stop_is_heard_while_it_reads_what_people_wear(slow: ReidModel, clock: Clock, work: str) -> None:
    ask = getattr(slow, work)
    rows = ask(pictures(64), stop=lambda: clock.now >= 1)
    assert clock.now <= 1 + 4 * EACH
    read = [bool(np.isfinite(row).all()) if work == "attribute_probs" else bool(row) for row in rows]
    assert not any(read[4:])
    stopped = clock.now
    assert len(ask(pictures(3), stop=lambda: True)) == 3 and clock.now == stopped


def test_what_was_not_read_is_read_the_next_time(slow: ReidModel) -> None:
    assert slow.annotate(pictures(2), stop=lambda: True) == [(), ()]
    assert slow.annotate(pictures(2)) == ReidModel.load(tiny_folder()).annotate(pictures(2))


def test_a_quick_model_reads_full_batches(clock: Clock) -> None:
    model, sizes = ReidModel.load(tiny_folder()), []
    model.line = Line(clock=clock.perf_counter)
    model.yes_logits("a man", [], pictures(100), progress=lambda done, total: sizes.append(done))
    assert np.diff([0, *sizes]).tolist() == [4, 8, 16, 32, 32, 8]
    sizes.clear()
    model.yes_logits("a man", [], pictures(64), progress=lambda done, total: sizes.append(done))
    assert sizes == [32, 64]


# In a conversation


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[tuple[GalleryStore, ClipEncoder]]:
    for number in range(24):
        noise_picture(number).save(tmp_path / f"{number:04d}_c1s1_{number:06d}_00.png")
    encoder = ClipEncoder.load(make_clip_folder(tmp_path / "clip"))
    with GalleryStore.open(tmp_path / "gallery.db") as store:
        for file in sorted(tmp_path.glob("*.png")):
            import_crops(store, encoder, file)
        yield store, encoder


def test_the_time_shown_is_the_whole_time(
    slow: ReidModel, clock: Clock, gallery: tuple[GalleryStore, ClipEncoder]
) -> None:
    session = ChatService(Engine(*gallery, slow)).get("ann", "tab")
    began, stages = clock.now, []
    answer = session.say("a man in a red coat", progress=lambda stage, done, total: stages.append(stage))
    assert stages[-1] == "reply"  # the first candidates were read for it, which takes as long as all else
    assert answer.status["seconds"] == pytest.approx(clock.now - began) and clock.now - began > 24 * EACH
    assert session.ranking is not None and session.ranking.timings.total == clock.now - began


def test_stop_is_heard_while_the_first_candidates_are_read(
    slow: ReidModel, clock: Clock, gallery: tuple[GalleryStore, ClipEncoder]
) -> None:
    session = ChatService(Engine(*gallery, slow)).get("ann", "tab")
    pressed = []

    def press(stage: str, done: int, total: int) -> None:
        if stage == "reply":
            session.stop.set()
            pressed.append(clock.now)

    answer = session.say("a man in a red coat", progress=press)
    assert pressed and clock.now <= pressed[0] + EACH
    assert len(answer.cards) == 12 and answer.status["scored"] == 24 and not answer.status["stopped"]
    assert not session.stop.is_set()


def test_stop_is_heard_while_somebody_else_searches(
    gallery: tuple[GalleryStore, ClipEncoder],
) -> None:
    service = ChatService(Engine(*gallery, None))
    session = service.get("ann", "tab")
    with others_compute(service.engine.line):
        session.stop.set()
        with pytest.raises(Refused, match=STOPPED_WAITING):
            session.say("a man in a red coat")
    assert session.conversation.turns == () and len(session.say("a man in a red coat").cards) == 12


def test_each_step_is_named_while_it_goes_on() -> None:
    def words(stage: str, done: int, total: int) -> str:
        return progress_words(SimpleNamespace(stage=stage, done=done, total=total))  # type: ignore[arg-type]

    assert words("attributes", 3, 64) == "Reading what candidates wear, 3 of 64…"
    assert words("reply", 0, 3) == "Reading the first candidates…"
    assert words("prefilter", 0, 560) == "Searching…"
