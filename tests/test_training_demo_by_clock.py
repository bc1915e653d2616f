"""Learning by the clock: it ends in time, and whatever happens it ends with usable weights."""

import json
from types import SimpleNamespace

import pytest
import torch

from training.demo import by_clock
from training.demo.by_clock import Span, learn_by_clock, shares_of_time
from training.demo.learning import LearningLog


class Clock:
    """A second goes by with each look at the time."""

    def __init__(self, monkeypatch, pace=1.0):
        self.now, self.pace = 0.0, pace
        monkeypatch.setattr(by_clock, "time", SimpleNamespace(monotonic=self))

    def __call__(self):
        self.now += self.pace
        return self.now


class Toy:
    """A weight that is to become 3; a step is (number, share done, parts)."""

    stage = "toy"

    def __init__(self, too_large=0, bad=()):
        self.net = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(self.net.weight)
        self.modules = {"net": self.net}
        self.optimizers = [torch.optim.SGD([{"params": [self.net.weight], "peak": 0.2}])]
        self.too_large, self.bad = too_large, set(bad)
        self.asked, self.rates = [], []

    def draw(self, step, done, parts=1):
        return step, done, parts

    def loss(self, drawn):
        step, _, parts = drawn
        if 8 // parts > 8 - self.too_large:
            raise torch.OutOfMemoryError("too large")
        self.asked.append(drawn)
        self.rates.append(self.optimizers[0].param_groups[0]["lr"])
        loss = (self.net.weight - 3).square().sum()
        if step in self.bad:
            self.bad.discard(step)
            loss = loss * float("nan")
        return loss, {"off": loss}


def learn(toy, tmp_path, seconds=300.0, state=None, **given):
    span = Span(0.0, seconds)
    log = LearningLog(tmp_path / "log.jsonl")
    return learn_by_clock(toy, span, device="cpu", workers=0, state=state, log=log, **given)


def rows(tmp_path):
    return [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]


def test_a_part_ends_with_its_time_and_its_rate_falls_with_it(monkeypatch, tmp_path):
    clock, toy = Clock(monkeypatch), Toy()
    outcome = learn(toy, tmp_path)
    assert outcome.done == 1.0 and clock.now < 320
    assert outcome.steps == len(toy.asked) > 50
    assert max(toy.rates) > 20 * toy.rates[-1]
    assert float(toy.net.weight.detach()) == pytest.approx(3, abs=0.2)
    assert [done for _, done, _ in toy.asked] == sorted(done for _, done, _ in toy.asked)
    assert rows(tmp_path)[-1]["step"] == outcome.steps


def test_a_part_that_comes_too_late_takes_one_step(monkeypatch, tmp_path):
    Clock(monkeypatch)
    toy = Toy()
    assert learn(toy, tmp_path, seconds=0.0).steps == 1
    assert len(toy.asked) == 1


def test_what_does_not_fit_into_memory_is_made_smaller_and_goes_on(monkeypatch, tmp_path):
    Clock(monkeypatch)
    toy = Toy(too_large=5)
    outcome = learn(toy, tmp_path)
    assert outcome.parts == 4 and not outcome.error
    assert {parts for _, _, parts in toy.asked} == {4}
    Clock(monkeypatch)
    whole = Toy()
    learn(whole, tmp_path)
    assert max(toy.rates) == pytest.approx(max(whole.rates) / 2, rel=0.1)


def test_what_never_fits_ends_the_part_and_not_the_run(monkeypatch, tmp_path):
    Clock(monkeypatch)
    outcome = learn(Toy(too_large=9), tmp_path)
    assert outcome.steps == 0 and outcome.error.startswith("OutOfMemoryError")


def test_numbers_that_are_not_finite_take_it_back_with_half_the_rate(monkeypatch, tmp_path):
    Clock(monkeypatch, pace=0.2)
    toy = Toy(bad=[30])
    outcome = learn(toy, tmp_path)
    assert outcome.halved == 1 and not outcome.error
    assert float(toy.net.weight.detach()) == pytest.approx(3, abs=0.2)
    assert any(row.get("went_back") for row in rows(tmp_path))


def test_any_other_failure_ends_the_part_with_the_weights_that_it_had(monkeypatch, tmp_path):
    Clock(monkeypatch)
    toy = Toy()
    draw = toy.draw
    toy.draw = lambda step, done, parts=1: draw(step, done, parts) if step < 30 else 1 / 0
    outcome = learn(toy, tmp_path)
    assert outcome.steps == 30 and "ZeroDivisionError" in outcome.error
    assert float(toy.net.weight.detach()) > 1
    assert "failed" in rows(tmp_path)[-1]


def test_a_part_goes_on_after_a_failure_that_does_not_come_back(monkeypatch, tmp_path):
    Clock(monkeypatch)
    toy = Toy()
    draw, failures = toy.draw, []

    def once(step, done, parts=1):
        if step == 30 and not failures:
            failures.append(step)
            raise RuntimeError("worker exited unexpectedly")
        return draw(step, done, parts)

    toy.draw = once
    outcome = learn(toy, tmp_path)
    assert failures and not outcome.error and outcome.steps > 60
    assert [step for step, _, _ in toy.asked] == list(range(outcome.steps))


def test_a_step_that_cannot_be_drawn_gives_way_to_another(monkeypatch, tmp_path):
    Clock(monkeypatch)
    toy = Toy()
    draw = toy.draw

    def drawn(step, done, parts=1):
        if step == 5:
            raise ValueError("nothing changed")
        return draw(step, done, parts)

    toy.draw = drawn
    outcome = learn(toy, tmp_path)
    assert not outcome.error
    assert any(step == 5 + 1_000_003 for step, _, _ in toy.asked)


def test_a_part_that_was_stopped_goes_on_from_its_checkpoint(monkeypatch, tmp_path):
    monkeypatch.setattr(by_clock, "KEEP", 50.0)
    Clock(monkeypatch)
    state, first = tmp_path / "toy.pt", Toy()
    learn(first, tmp_path, state=state)
    saved = torch.load(state, weights_only=True)
    assert saved["step"] > 0 and 0.3 < saved["done"] <= 1
    Clock(monkeypatch)
    second = Toy()
    outcome = learn(second, tmp_path, state=state)
    assert outcome.steps > saved["step"]
    assert second.asked[0][0] == saved["step"]
    assert second.asked[0][1] >= saved["done"]


def test_steps_are_drawn_ahead_by_other_processes(tmp_path):
    toy = Toy()
    outcome = learn_by_clock(
        toy, Span(0.0, 1e12), device="cpu", workers=2, state=None, log=LearningLog(tmp_path / "log"), most=9
    )
    assert outcome.steps == 9 and [step for step, _, _ in toy.asked] == list(range(9))


def test_a_part_goes_on_with_more_people_where_there_are_more(monkeypatch, tmp_path):
    monkeypatch.setattr(by_clock, "MORE_EVERY", 0.0)
    monkeypatch.setattr(by_clock, "TELL", 4)
    toy, larger, seen = Toy(), ["six people", None, "nine people"], []
    toy.renew = lambda pool: seen.append((pool, len(toy.asked)))
    more = lambda: larger.pop(0) if larger else None  # noqa: E731
    outcome = learn_by_clock(
        toy,
        Span(0.0, 1e12),
        device="cpu",
        workers=0,
        state=None,
        log=LearningLog(tmp_path / "log"),
        most=20,
        more=more,
    )
    assert seen == [("six people", 4), ("nine people", 12)]
    assert outcome.steps == 20 and [step for step, _, _ in toy.asked] == list(range(20))


def test_time_that_a_part_does_not_need_goes_to_those_after_it():
    shares = {"a": 0.5, "b": 0.3, "c": 0.2}
    assert shares_of_time(shares, "a", 100) == pytest.approx(50)
    assert shares_of_time(shares, "b", 90) == pytest.approx(54)
    assert shares_of_time(shares, "c", 5) == pytest.approx(5)
