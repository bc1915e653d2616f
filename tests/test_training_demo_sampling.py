"""What stands together in a batch of the demo recipe, and the descriptions that its lists are asked with."""

import numpy as np

from tests.tiny_pool import tiny_pool
from training.demo.sampling import Batches, BatchRule, augmented, descriptions, satisfies


def test_descriptions_fit_their_own_crop():
    pool, rng = tiny_pool(), np.random.default_rng(0)
    rows = np.arange(60)
    told = descriptions(pool, rows, rng, 8, canonical=0.5)
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
    pictures = tiny_pool().pictures[:8]
    changed = augmented(pictures, np.random.default_rng(0))
    assert changed.shape == pictures.shape
    assert changed.dtype == np.uint8
    assert (changed != pictures).any()
