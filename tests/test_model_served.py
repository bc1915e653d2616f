"""The app's side of models on Ray Serve, over replicas without a Ray; test_serving_ray.py has the whole."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain, repeat
from threading import Event, Semaphore, Thread
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.model.checkpoint import ModelError
from app.model.pictures import BoundedCache, Picture
from app.model.reid_model import ReidModel
from app.model.served import connection
from app.model.served.answering import answer_questions
from app.model.served.connection import Connection
from app.model.served.messages import (
    Answer,
    Question,
    pack,
    pack_answer,
    pack_question,
    unpack,
    unpack_answer,
    unpack_question,
)
from app.model.served.reid import ServedModel
from app.settings import Settings, SettingsError
from tests.replica_server import Replicas, replica_server
from tests.serving import free_port
from tests.tiny_qwen import noise_picture, tiny_folder

WORDS = "a woman in a red coat"


def picture(number: int) -> Picture:
    return Picture(f"sha-{number}", lambda: noise_picture(number))


PICTURES = [picture(number) for number in range(24)]


def broken() -> Picture:
    def load():
        raise OSError("torn")

    return Picture("torn", load)


@pytest.fixture(scope="module")
def own() -> ReidModel:
    return ReidModel.load(tiny_folder())


@pytest.fixture
def served() -> Iterator[tuple[ServedModel, Replicas]]:
    with replica_server(tiny_folder()) as (address, replicas):
        yield ServedModel.connect(address), replicas


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(connection, "_PAUSES", (0.001,))


def test_scores_are_those_of_one_process(served, own):
    model, replicas = served
    for references in ([], PICTURES[:2]):
        done: list[tuple[int, int]] = []
        tell = partial(lambda done, *at: done.append(at), done)
        scores = model.yes_logits(WORDS, references, PICTURES, other_clothes=True, progress=tell)
        np.testing.assert_allclose(
            scores, own.yes_logits(WORDS, references, PICTURES, other_clothes=True), atol=1e-3
        )
        assert done[-1] == (24, 24) and scores.dtype == np.float32
    np.testing.assert_allclose(model.attribute_probs(PICTURES), own.attribute_probs(PICTURES), atol=1e-3)
    lists = [PICTURES[2:5], PICTURES[5:8]]
    np.testing.assert_allclose(
        model.choice_logits(WORDS, PICTURES[:1], lists),
        own.choice_logits(WORDS, PICTURES[:1], lists),
        atol=1e-3,
    )
    for ours, theirs in zip(model.annotate(PICTURES[:3]), own.annotate(PICTURES[:3]), strict=True):
        assert [one.attribute for one in ours] == [one.attribute for one in theirs]
    assert {number for number, _ in replicas.asked} == {0, 1}
    assert (model.name, model.manifest, model.kinds, model.lost) == (own.name, own.manifest, own.kinds, 0)


def test_a_crop_goes_where_it_was_and_travels_once(served):
    model, replicas = served
    model.yes_logits(WORDS, [], PICTURES)
    at = {key: number for number, question in replicas.asked for key in question.candidates}
    assert sum(len(question.pictures) for _, question in replicas.asked) == len(PICTURES) == len(at)
    replicas.asked.clear()
    model.yes_logits("a man", [], PICTURES[::-1])
    assert {key: number for number, q in replicas.asked for key in q.candidates} == at
    assert not any(question.pictures for _, question in replicas.asked)


def test_a_replica_that_forgot_is_sent_the_pictures_again(served, own):
    model, replicas = served
    model.yes_logits(WORDS, PICTURES[:1], PICTURES)
    replicas.models = [ReidModel.load(tiny_folder()) for _ in replicas.models]
    scores = model.yes_logits(WORDS, PICTURES[:1], PICTURES)
    np.testing.assert_allclose(scores, own.yes_logits(WORDS, PICTURES[:1], PICTURES), atol=1e-3)
    assert model.lost == 0
    replicas.moved = 2
    model.yes_logits(WORDS, PICTURES[:1], PICTURES)
    assert model.lost == replicas.buckets  # each session is at another replica now


def test_lost_questions_are_asked_again_and_counted(served, own):
    model, replicas = served
    replicas.lose = 5
    scores = model.yes_logits(WORDS, [], PICTURES)
    np.testing.assert_allclose(scores, own.yes_logits(WORDS, [], PICTURES), atol=1e-3)
    assert model.lost == 5


def test_what_cannot_be_opened_has_no_score(served):
    model, _ = served
    scores = model.yes_logits(WORDS, [], [PICTURES[0], broken(), PICTURES[1]])
    assert np.isfinite(scores).tolist() == [True, False, True]
    assert np.isfinite(model.attribute_probs([broken(), PICTURES[0]])).all(1).tolist() == [False, True]
    assert model.can_open([broken(), PICTURES[0]]).tolist() == [False, True]
    for ask in (lambda: model.yes_logits(WORDS, [broken()], PICTURES), lambda: model.annotate([broken()])):
        with pytest.raises(OSError, match="torn"):
            ask()


def test_one_picture_twice_has_one_score(served):
    model, _ = served
    scores = model.yes_logits(WORDS, [], [PICTURES[0], PICTURES[1], PICTURES[0]])
    assert scores[0] == scores[2] != scores[1]


def test_a_stop_leaves_the_rest_unasked(served):
    model, replicas = served
    answered: list[int] = []
    scores = model.yes_logits(
        WORDS, [], PICTURES, stop=lambda: bool(answered), progress=lambda done, _: answered.append(done)
    )
    assert 0 < np.isfinite(scores).sum() == answered[0] < len(PICTURES)
    replicas.lose = 10**6
    assert np.isnan(model.yes_logits(WORDS, [], PICTURES, stop=chain([False], repeat(True)).__next__)).all()


def test_many_operators_get_their_own_answers(served, own):
    model, _ = served
    wanted = [own.yes_logits(f"{WORDS} {n}", PICTURES[n : n + 1], PICTURES) for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        got = list(
            pool.map(lambda n: model.yes_logits(f"{WORDS} {n}", PICTURES[n : n + 1], PICTURES), range(4))
        )
    np.testing.assert_allclose(got, wanted, atol=1e-3)


def test_questions_of_many_operators_are_answered_together(own, monkeypatch):
    arrays = {p.key: np.asarray(p.load()) for p in PICTURES}
    keys = [p.key for p in PICTURES]
    one = Question("yes", tuple(keys[:6]), WORDS, pictures=arrays)
    same = Question("yes", tuple(keys[3:9]), WORDS)
    other = Question("yes", tuple(keys[4:12]), "a man", (keys[0],), other_clothes=True)
    reads = Question("attributes", tuple(keys[2:5]))
    unseen = Question("yes", ("never-seen",), WORDS)
    asked: list[int] = []
    true = ReidModel.yes_logits
    monkeypatch.setattr(
        ReidModel, "yes_logits", lambda self, *a, **k: asked.append(len(a[2])) or true(self, *a, **k)
    )
    answers = answer_questions(ReidModel.load(tiny_folder()), "v", [one, same, other, reads, unseen])
    assert asked == [10, 8]  # those that differ in candidates alone, as one
    np.testing.assert_allclose(answers[0].values, true(own, WORDS, [], PICTURES[:6]), atol=1e-3)
    np.testing.assert_allclose(answers[1].values, true(own, WORDS, [], PICTURES[3:9]), atol=1e-3)
    np.testing.assert_allclose(
        answers[2].values, true(own, "a man", PICTURES[:1], PICTURES[4:12], other_clothes=True), atol=1e-3
    )
    np.testing.assert_allclose(answers[3].values, own.attribute_probs(PICTURES[2:5]), atol=1e-3)
    assert answers[4].missing == ("never-seen",) and not any(answer.missing for answer in answers[:4])


def test_other_weights_are_refused(served):
    model, replicas = served
    replicas.version = "other"
    with pytest.raises(ModelError, match="other weights than at the start; start the app again"):
        model.yes_logits(WORDS, [], PICTURES)


def test_what_the_model_refuses_is_said_in_its_words(served):
    model, replicas = served
    replicas.wrong = "model.safetensors is not the file that chatreid.json names"
    for ask in (lambda: model.yes_logits(WORDS, [], PICTURES), model._connection.about):
        with pytest.raises(ModelError, match=r"^model\.safetensors is not the file"):
            ask()


def test_a_ray_that_is_not_there_is_one_sentence(served, monkeypatch):
    model, _ = served
    port = free_port()
    with pytest.raises(
        ModelError, match=rf"^the Ray at ray://127\.0\.0\.1:{port} does not answer \(.*refused\)"
    ):
        ServedModel.connect(f"ray://127.0.0.1:{port}")
    with pytest.raises(ModelError, match="serves no model of ChatReID's"):
        Connection(model._connection.shown, "/elsewhere").about()
    monkeypatch.setattr(connection, "_GONE", 0.05)
    model._connection._base = f"http://127.0.0.1:{port}/reid"
    with pytest.raises(ModelError, match="does not answer"):
        model.attribute_probs(PICTURES)


def test_a_replica_that_says_that_it_is_there_is_slow_and_not_gone(served, own, monkeypatch):
    model, replicas = served
    monkeypatch.setattr(connection, "_SECONDS", httpx.Timeout(2.0))  # longer than this nobody was waited for
    monkeypatch.setattr(connection, "_GONE", 0.01)
    monkeypatch.setattr(connection, "_LOOK", 0.1, raising=False)
    slow, replicas.looked, replicas.looks = ServedModel.connect(model._connection.shown), Semaphore(0), 3
    scores = slow.yes_logits(WORDS, [], PICTURES[:3])
    np.testing.assert_allclose(scores, own.yes_logits(WORDS, [], PICTURES[:3]), atol=1e-3)
    assert slow.lost == 0
    # And Stop is heard while it works.
    replicas.looked, asked = Semaphore(0), chain([False, False], repeat(True))
    assert np.isnan(slow.yes_logits(WORDS, [], PICTURES, stop=asked.__next__)).all()
    replicas.looked.release(1000)


@pytest.mark.parametrize("hangs", [False, True])
def test_a_ray_that_goes_away_in_mid_question_is_one_sentence(monkeypatch, hangs):
    for name, seconds in {"_LOOK": 0.05, "_GONE": 0.0, "_PATIENCE": 0.0}.items():
        monkeypatch.setattr(connection, name, seconds, raising=False)
    answered = Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            held, _ = server.accept()
            if not hangs:
                server.close()
            with held:
                answered.wait(60)

        Thread(target=take, daemon=True).start()
        port = server.getsockname()[1]
        try:
            with pytest.raises(ModelError, match=f"^the Ray at ray://127.0.0.1:{port} does not answer"):
                Connection(f"127.0.0.1:{port}", "/reid").ask("ask", b"", session="1")
        finally:
            answered.set()


def test_a_connection_that_is_lost_after_long_work_is_tried_again(monkeypatch):
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now, sleep=lambda _: None)
    monkeypatch.setattr(connection, "time", clock)
    tries = Connection("box", "/reid").tries()
    clock.now = 100.0  # of work; then the connection is lost, and nobody answers
    for clock.now in (100.0, 105.0, 114.0):
        tries.lost("connection reset")
    clock.now = 115.0
    with pytest.raises(ModelError, match=r"ray://box does not answer \(connection reset\)"):
        tries.lost("connection reset")


def test_answers_that_a_replica_was_lost_are_borne_for_longer(monkeypatch):
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now, sleep=lambda _: None)
    monkeypatch.setattr(connection, "time", clock)
    tries = Connection("box", "/reid").tries()
    for clock.now in (200.0, 260.0, 320.0):
        tries.lost("it answers 500", answered=True)
    clock.now = 321.0
    with pytest.raises(ModelError, match="it answers 500"):
        tries.lost("it answers 500", answered=True)


def test_the_first_question_is_small_and_the_next_ones_as_large_as_was_measured(served, monkeypatch):
    model, _ = served
    monkeypatch.setattr("app.model.served.reid.time", SimpleNamespace(perf_counter=lambda: 0.0))
    done: list[int] = []
    for words in ("a man", "a woman"):
        model.yes_logits(words, [], PICTURES, progress=lambda asked, _: done.append(asked))
    assert done == [4, 12, 24, 16, 24]
    model.yes_logits("somebody", [], PICTURES[:1])  # says little of how many are soon done
    assert model.pace("yes").size == 32


@given(
    st.builds(
        Question,
        st.sampled_from(["yes", "choice", "attributes", "annotations"]),
        st.lists(st.text(max_size=5)).map(tuple),
        st.text(),
        st.lists(st.text(max_size=5)).map(tuple),
        st.lists(st.lists(st.text(max_size=5)).map(tuple)).map(tuple),
        st.booleans(),
    )
)
def test_questions_travel_whole(question):
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    sent = Question(**{**vars(question), "pictures": {"k ö": pixels}})
    got = unpack_question(pack_question(sent))
    assert {**vars(got), "pictures": 0} == {**vars(sent), "pictures": 0}
    assert list(got.pictures) == ["k ö"] and (got.pictures["k ö"] == pixels).all()


def test_answers_travel_whole():
    answer = Answer("v", np.array([1.5, np.nan], np.float32), ((("hat", "cap", 0.5),), ()), ("a",), "box:7")
    got = unpack_answer(pack_answer(answer))
    np.testing.assert_array_equal(got.values, answer.values)
    assert vars(got) | {"values": 0} == vars(answer) | {"values": 0}


@given(st.binary(max_size=60))
def test_other_bytes_are_no_message(content):
    for read in (unpack, unpack_question, unpack_answer):
        with pytest.raises(ValueError, match="ChatReID's"):
            read(content)
    with pytest.raises(ValueError, match="no question"):
        unpack_question(pack({"nonsense": 1}))


def test_the_settings_name_what_runs_elsewhere():
    assert Settings(model="ray://box:8000", clip="ray://box:8000").is_offline
    assert not Settings(model="Qwen/Qwen2-VL-2B-Instruct").is_offline
    for wrong in ({"serve": "slurm"}, {"serve": "ray", "model": "ray://box"}):
        with pytest.raises(SettingsError, match="--serve"):
            Settings(**wrong)


def test_the_bound_of_what_was_sent_is_of_pictures(served):
    model, _ = served
    model._sent = BoundedCache(4)
    model.yes_logits(WORDS, [], PICTURES)
    assert len(model._sent) == 4
