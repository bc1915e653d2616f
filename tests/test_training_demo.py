"""The demo recipe's parts, at toy size: they learn, they resume, and they freeze what they say."""

import json

import numpy as np
import pytest
import torch

from tests.tiny_pool import tiny_pool
from tests.tiny_qwen import build_tiny
from training.demo.language import Lists, Stage, train_stage
from training.demo.pool import PoolSpec, load_pool
from training.demo.progress import Log, atomic_save, learning_rate
from training.demo.recipe import load, take_decoder
from training.demo.stage0 import warm_tower
from training.instructions.mixtures import STAGE2, STAGE3


@pytest.fixture
def tiny(tmp_path):
    return load(build_tiny(tmp_path / "tiny"))


def weights(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def changed(before, module):
    after = module.state_dict()
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


def stage(**options):
    given = {
        "name": "t",
        "minutes": 0.05,
        "rate": 1e-3,
        "mixture": STAGE2,
        "plain": 2,
        "lists": {"image": 1.0, "text": 1.0},
        "tower_rate": 0.1,
    }
    return Stage(**{**given, **options})


def test_a_frozen_tower_does_not_move_and_a_tuned_one_does(tiny, tmp_path):
    model, processor = tiny
    before, language = weights(model.model.visual), weights(model.model.language_model)
    lists = {"image-plus-text": 1.0}
    frozen = stage(name="frozen", tower_rate=0, mixture=STAGE3, lists=lists)
    assert train_stage(model, processor, frozen, tiny_pool(), tmp_path, seed=0, log=Log(tmp_path / "log")) > 0
    assert not changed(before, model.model.visual)
    assert changed(language, model.model.language_model)
    train_stage(model, processor, stage(), tiny_pool(), tmp_path, seed=0, log=Log(tmp_path / "log"))
    assert changed(before, model.model.visual)


def test_stage_2_carries_the_encoder_over_and_takes_a_fresh_decoder(tiny, tmp_path):
    model, _ = tiny
    base, _ = load(build_tiny(tmp_path / "base", seed=3))
    visual = weights(model.model.visual)
    take_decoder(model, base)
    assert not changed(visual, model.model.visual)
    assert not changed(weights(base.model.language_model), model.model.language_model)


def test_a_stage_that_is_done_is_not_run_again(tiny, tmp_path):
    model, processor = tiny
    first = train_stage(model, processor, stage(), tiny_pool(), tmp_path, seed=0, log=Log(tmp_path / "log"))
    after = weights(model)
    again, _ = load(build_tiny(tmp_path / "again"))
    assert (
        train_stage(again, processor, stage(), tiny_pool(), tmp_path, seed=0, log=Log(tmp_path / "log"))
        == first
    )
    assert not changed(after, again)


def test_the_tower_learns_who_is_who(tiny, tmp_path):
    model, _ = tiny
    log = Log(tmp_path / "log.jsonl")
    warm_tower(model, tiny_pool(), tmp_path, minutes=0.25, seed=0, log=log)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["attributes"] < 1.45


@pytest.mark.parametrize("kind", ["image", "text", "image-plus-text"])
def test_packed_lists_are_true_and_pure(tiny, kind):
    _, processor = tiny
    pool = tiny_pool()
    lists = Lists(pool, processor, 0)
    drawn, again = lists.draw(kind, 3), lists.draw(kind, 3)
    assert (drawn.right == again.right).all()
    assert not (drawn.right & drawn.ignored).any()
    assert drawn.right.any()
    if kind != "text":
        for query, references in enumerate(drawn.references):
            right = drawn.rows[drawn.right[query]]
            assert set(pool.person[right]) <= {pool.person[references[0]]}
            assert references[0] not in right


def test_a_pool_is_drawn_once_and_again_when_it_was_cut_off(tmp_path):
    spec = PoolSpec(1, "test", families=1, views=1)
    pool = load_pool(tmp_path, spec, workers=1)
    assert len(pool) == 6
    stamp = (tmp_path / "pictures.npy").stat().st_mtime_ns
    load_pool(tmp_path, spec, workers=1)
    assert (tmp_path / "pictures.npy").stat().st_mtime_ns == stamp
    (tmp_path / "done.json").unlink()
    again = load_pool(tmp_path, spec, workers=1)
    assert (again.pictures == pool.pictures).all()
    assert np.array_equal(again.visible, pool.visible)


def test_the_learning_rate_rises_then_falls():
    rates = [learning_rate(1.0, step, step / 100, warmup=10) for step in range(101)]
    assert rates[0] < rates[5] < rates[10]
    assert rates[-1] == pytest.approx(0.02)


def test_a_save_leaves_no_half_file(tmp_path):
    atomic_save({"a": torch.ones(2)}, tmp_path / "x.pt")
    assert [p.name for p in tmp_path.iterdir()] == ["x.pt"]
