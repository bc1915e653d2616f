"""What stands together in a batch of the demo recipe, and the descriptions that its lists are asked with."""

from collections import Counter

import numpy as np
import torch

from app.model.prompts import MayDiffer, pair_prompt
from app.model.scoring import pair_layout
from tests.tiny_pool import tiny_pool
from tests.tiny_qwen import tiny_parts
from training.demo.looks import Looks, augmented, draw_looks
from training.demo.sampling import Batches, BatchRule, PoolLists, descriptions
from training.synthetic.truth import satisfies


def test_descriptions_fit_their_own_crop():
    pool, rng = tiny_pool(), np.random.default_rng(0)
    rows = np.arange(60)
    told = descriptions(pool, rows, rng, (1, 8), canonical=0.5)
    fits, unsure = satisfies(told.fragments, pool.attributes[rows], pool.visible[rows], told.refused)
    assert fits.diagonal().all()
    assert not unsure.diagonal().any()
    assert (told.refused >= 0).any()
    for text, refused in zip(told.texts, told.refused, strict=True):
        if (refused >= 0).any():
            assert ", not " in text or text.startswith("a person, not"), text


def test_batches_put_look_alikes_together_and_views_side_by_side():
    pool = tiny_pool()
    batches = Batches(pool, BatchRule(4, 3, 2), 0)
    rows = batches.batch(7)
    assert (rows == batches.batch(7)).all()
    assert (pool.person[rows[::2]] == pool.person[rows[1::2]]).all()
    assert len(set(pool.family[rows])) == 4
    assert len(set(pool.person[rows])) == 12


def test_augmentation_keeps_shape_and_type():
    pictures = torch.from_numpy(tiny_pool().pictures[:8])
    looks = draw_looks(np.random.default_rng(0), *pictures.shape[:3])
    changed = augmented(pictures, looks)
    assert changed.shape == pictures.shape
    assert changed.dtype == torch.uint8
    assert (changed != pictures).flatten(1).any(1).all()


def test_a_look_mirrors_and_hides_what_it_says():
    pictures = torch.randint(
        60, 190, (2, 56, 28, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    same = np.ones((2, 3), np.float32)
    patches = np.array([[0, 0, 0, 0], [10, 4, 20, 12]], np.int32)
    looks = Looks(np.array([True, False]), same, np.array([3, 0], np.float32), patches)
    mirrored, hidden = augmented(pictures, looks)
    assert torch.equal(mirrored, pictures[0].flip(1) + 3)
    mean = pictures[1].float().mean((0, 1)).to(torch.uint8)
    assert (hidden[10:20, 4:12] == mean).all()
    hidden[10:20, 4:12] = pictures[1, 10:20, 4:12]
    assert torch.equal(hidden, pictures[1])


def test_lists_ask_what_is_true_of_the_match_and_of_every_candidate_that_counts():
    pool, (_, processor) = tiny_pool(), tiny_parts()
    lists = PoolLists(pool, processor, 0)
    layouts = {
        may_differ: pair_layout(
            processor, pair_prompt("", 1, may_differ), [lists.grid], lists.grid
        ).prefix_ids
        for may_differ in (MayDiffer(clothes, light) for clothes in (False, True) for light in (False, True))
    }
    counts = Counter()
    for index in range(20):
        packed = lists.draw("image", index)
        for question, (reference,) in enumerate(packed.references):
            ids = packed.layouts[question].prefix_ids
            (may_differ,) = (kind for kind, other in layouts.items() if ids.tolist() == other.tolist())
            counts[may_differ] += 1
            counted = packed.rows[question, ~packed.ignored[question]]
            assert set(pool.infrared[counted] != pool.infrared[reference]) == {may_differ.light}
            right = packed.rows[question, packed.right[question]]
            assert may_differ.clothes or set(pool.clothes[right]) <= {pool.clothes[reference]}
            assert reference not in counted
    assert set(counts) == set(layouts)
    for index in range(5):
        packed = lists.draw("image-plus-text", index)
        light = processor.tokenizer.convert_tokens_to_ids("Ġinfrared")
        for question, (reference,) in enumerate(packed.references):
            crosses = (
                pool.infrared[packed.rows[question, ~packed.ignored[question]]] != pool.infrared[reference]
            )
            assert set(crosses) == {light in packed.layouts[question].prefix_ids.tolist()}


def test_batches_pair_daylight_with_infrared_where_they_are_told_to():
    pool = tiny_pool()
    pairs = [Batches(pool, BatchRule(4, 3, 2, 0.0, share), 0).batch(5).reshape(-1, 2) for share in (0.0, 1.0)]
    mixed = [int((pool.infrared[p[:, 0]] != pool.infrared[p[:, 1]]).sum()) for p in pairs]
    assert mixed[1] > mixed[0]
    for one in pairs[1]:
        own = pool.infrared[pool.clothes == pool.clothes[one[0]]]
        if own.any() and not own.all():
            assert pool.infrared[one].tolist() == [False, True]


def test_a_description_has_as_many_attributes_as_it_is_told():
    pool, rows = tiny_pool(), np.arange(80)
    told = descriptions(pool, rows, np.random.default_rng(0), (4, 4), canonical=1.0, plain=0.5)
    said = (told.fragments >= 0).sum(1)
    assert (said <= 4).all() and (said == 4).mean() > 0.9
