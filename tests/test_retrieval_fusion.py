"""Similarities by words, pictures and attributes, against plain arithmetic."""

from dataclasses import replace
from types import SimpleNamespace
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.model.answers import AttributeReading
from app.model.checkpoint import AffinityWeights
from app.model.vocabulary import KINDS, Attribute, describe
from app.retrieval.attribute_columns import AttributeColumns, GalleryAppearance
from app.retrieval.attribute_probs import (
    MOST_RATIO,
    ClipAttributes,
    gallery_priors,
    sensible,
)
from app.retrieval.fusion import (
    SQUASHED,
    Fusion,
    attribute_similarity,
    picture_similarity,
    squashed,
    text_similarity,
)
from gallery_store.index import Index
from gallery_store.vectors import Vectors

SHARPNESS, STATED_SHARE = 30.0, 1 / 12


class Words:
    """Each text a fixed random unit row."""

    logit_scale = SHARPNESS  # taken where no sharpness is given

    def encode_texts(self, texts):
        rows = np.stack([np.random.default_rng(crc32(t.encode())).normal(size=16) for t in texts])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def crops():
    rows = np.random.default_rng(1).normal(size=(7, 16))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def plain(crops, attribute, sharpness=SHARPNESS):
    texts = Words().encode_texts([describe((Attribute(attribute.kind, v),)) for v in KINDS[attribute.kind]])
    probs = []
    for crop in crops:
        weights = [np.exp(sharpness * float(crop @ text)) for text in texts]
        probs.append(weights[KINDS[attribute.kind].index(attribute.value)] / sum(weights))
    return np.array(probs)


def by_clip(crops):
    return ClipAttributes(Words()).appearance(crops)


def test_attributes_add_a_share_of_their_log_probabilities(crops):
    red, hat = Attribute("upper_colour", "red"), Attribute("hat", "cap")
    described = np.zeros(16, np.float32)
    found = text_similarity(by_clip(crops), described, [red], [hat], 1 / 20)
    expected = np.log(np.clip(plain(crops, red), 1e-4, 1)) + np.log(np.clip(1 - plain(crops, hat), 1e-4, 1))
    assert expected.min() / 20 > -SQUASHED
    assert found == pytest.approx(expected / 20, abs=1e-5)
    assert (found <= 0).all()
    assert not text_similarity(by_clip(crops), described, [red], [hat], 0.0).any()


def test_an_encoder_has_its_own_sharpness_or_the_fitted_one(crops):
    red = Attribute("upper_colour", "red")
    own, fitted = (ClipAttributes(Words(), given).appearance(crops).probs for given in (None, 2.5))
    place = KINDS["upper_colour"].index("red")
    assert own["upper_colour"][place] == pytest.approx(plain(crops, red))
    assert fitted["upper_colour"][place] == pytest.approx(plain(crops, red, 2.5))


def test_without_attributes_the_cosine_stands(crops):
    described = Words().encode_texts(["somebody limping"])[0]
    assert text_similarity(by_clip(crops), described, [], [], STATED_SHARE) == pytest.approx(
        crops @ described, abs=1e-6
    )


def test_a_similarity_stays_within_its_range(crops):
    wanted = [Attribute(kind, values[0]) for kind, values in KINDS.items()]
    found = text_similarity(by_clip(crops), -crops[0], wanted, [], STATED_SHARE)
    assert found.min() > -1
    assert found.dtype == np.float32


def test_where_nobody_fits_the_nearest_still_come_first(crops):
    """A long description that fits no crop: each similarity would be below -1, and all would be equal there."""
    wanted = [Attribute(kind, values[0]) for kind, values in KINDS.items()]
    logs = sum(np.log(np.clip(plain(crops, attribute), 1e-4, 1)) for attribute in wanted)
    assert (STATED_SHARE * logs < -1.5).all()
    found = text_similarity(by_clip(crops), np.zeros(16, np.float32), wanted, [], STATED_SHARE)
    assert np.argsort(-found).tolist() == np.argsort(-logs).tolist() != list(range(len(crops)))
    assert len(set(found.tolist())) == len(crops)


@settings(max_examples=200)
@given(st.lists(st.floats(-15, 1, width=32), min_size=2, max_size=30))
def test_squashing_keeps_the_order_the_range_and_all_that_stands_above(values):
    values = np.array(values)
    found = squashed(values)
    above = values >= -SQUASHED
    assert (found[above] == values[above]).all()
    assert (found > -1).all() and (found[~above] < -SQUASHED).all()
    order = np.argsort(values, kind="stable")
    assert (np.diff(found[order]) >= 0).all()
    apart = np.diff(values[order]) > 0.02  # of a float32 nothing more can be asked
    assert (np.diff(found[order].astype(np.float32))[apart] > 0).all()


def test_two_pictures_are_alike_by_the_probability_that_each_kind_shows_one_value(crops):
    priors = gallery_priors(by_clip(crops).probs)
    found = attribute_similarity(
        by_clip(crops[:2]).probs, by_clip(crops).probs, tuple(KINDS), priors, len(crops)
    )
    logs = []
    for kind, values in KINDS.items():
        probs = np.stack([plain(crops, Attribute(kind, value)) for value in values])
        own = (probs[:, 0] + probs[:, 1]) / 2
        common = (probs.sum(1) + 1 / len(values)) / 8
        logs.append(np.clip(np.log((own / common) @ probs), -MOST_RATIO, MOST_RATIO))
    expected = np.mean(logs, axis=0) / MOST_RATIO
    assert found == pytest.approx(expected, abs=1e-5)
    assert (np.abs(found) <= 1).all()


def test_a_pictures_similarity_is_a_share_of_cosine_and_attributes(crops):
    clip = ClipAttributes(Words())
    priors, own = gallery_priors(by_clip(crops).probs), clip.appearance(crops[:2])
    mean = crops[:2].mean(0) / np.linalg.norm(crops[:2].mean(0))
    assert picture_similarity(own, by_clip(crops), 0, priors) == pytest.approx(crops @ mean, abs=1e-6)
    mixed = picture_similarity(own, by_clip(crops), 0.25, priors)
    how = attribute_similarity(own.probs, by_clip(crops).probs, tuple(KINDS), priors, len(crops))
    assert mixed == pytest.approx(0.75 * crops @ mean + 0.25 * how, abs=1e-6)
    assert mixed.dtype == np.float32


def test_in_a_large_gallery_the_nearest_are_compared_and_stay_in_front(crops, monkeypatch):
    kept = Vectors(crops)
    crops = kept.rows(slice(None))
    clip = ClipAttributes(Words())
    priors, own = gallery_priors(by_clip(crops).probs), clip.appearance(crops[:1])

    ids = np.arange(len(crops))

    class Store:
        index = replace(Index.empty(), ids=ids, vectors=kept)

        def compared(self, ids):
            return self.index.compared(ids)

    store = Store()
    gallery = GalleryAppearance(store, ids, AttributeColumns(store, clip))
    every = picture_similarity(own, gallery, 0.5, priors)
    monkeypatch.setattr("app.retrieval.fusion.MOST_COMPARED", 3)
    some = picture_similarity(own, gallery, 0.5, priors)
    np.testing.assert_allclose(picture_similarity(own, by_clip(crops), 0.5, priors), every, atol=1e-3)
    near = np.argsort(-(crops @ crops[0]))[:3]
    far = np.setdiff1d(np.arange(len(crops)), near)
    assert some[near] == pytest.approx(every[near], abs=1e-6)
    assert some[far] == pytest.approx(0.5 * (crops @ crops[0])[far] - 0.5, abs=1e-6)
    assert some[near].min() > some[far].max()


def test_with_nothing_to_compare_no_crop_is_more_alike(crops):
    priors = gallery_priors(by_clip(crops).probs)
    found = attribute_similarity(by_clip(crops[:1]).probs, by_clip(crops).probs, (), priors, len(crops))
    assert found.shape == (len(crops),) and not found.any()


def both(crops, read, weights_of, attribute):
    """As `plain`, by both weights_of."""
    kind, values = attribute.kind, KINDS[attribute.kind]
    texts = Words().encode_texts([describe((Attribute(kind, value),)) for value in values])
    first = [k for k in KINDS for _ in KINDS[k]].index(kind)
    clip, model = weights_of[kind]
    weights = np.exp(clip * crops @ texts.T) * read[:, first : first + len(values)] ** model
    return (weights / weights.sum(1, keepdims=True))[:, values.index(attribute.value)]


def test_what_the_model_reads_counts_beside_clip(crops):
    rng = np.random.default_rng(2)
    read = np.concatenate([rng.dirichlet(np.ones(len(values)), 7) for values in KINDS.values()], 1)
    weights_of = {kind: (float(rng.uniform(1, 9)), float(rng.uniform(0, 1))) for kind in KINDS}
    clip = ClipAttributes(Words())
    pictures, own = clip.appearance(crops, read, weights_of), clip.appearance(crops[:2], read[:2], weights_of)
    red, hat = Attribute("upper_colour", "red"), Attribute("hat", "cap")
    described = Words().encode_texts(["a person"])[0]
    found = text_similarity(pictures, described, [red], [hat], STATED_SHARE)
    stated = np.log(both(crops, read, weights_of, red)) + np.log(1 - both(crops, read, weights_of, hat))
    assert found == pytest.approx(np.clip(crops @ described + STATED_SHARE * stated, -1, 1), abs=1e-5)
    kinds = ("bag", "hat")
    priors = gallery_priors(by_clip(crops).probs)
    logs = []
    for kind in kinds:
        probs = np.stack([both(crops, read, weights_of, Attribute(kind, value)) for value in KINDS[kind]])
        ratios = (probs[:, :2].mean(1) / priors[kind]) @ probs
        logs.append(np.clip(np.log(ratios), -MOST_RATIO, MOST_RATIO))
    found = picture_similarity(own, pictures, 1, priors, kinds=kinds)
    assert found == pytest.approx(np.mean(logs, axis=0) / MOST_RATIO, abs=1e-5)
    for said in clip.readings(crops[3], read[3], weights_of):
        values = KINDS[said.attribute.kind]
        probs = [both(crops, read, weights_of, Attribute(said.attribute.kind, v))[3] for v in values]
        assert said.confidence == pytest.approx(max(probs), abs=1e-5)
        assert said.attribute.value == values[int(np.argmax(probs))]


def test_nobody_is_told_the_colour_of_what_is_not_there():
    read = [
        AttributeReading(Attribute(kind, value), 0.9)
        for kind, value in (
            ("hat", "none"),
            ("hat_colour", "red"),
            ("bag", "backpack"),
            ("bag_colour", "blue"),
        )
    ]
    assert [said.attribute.kind for said in sensible(read)] == ["hat", "bag", "bag_colour"]


def fusion(weights, affinity, rows):
    """Of a model that reads `rows` (n, all values) in any n pictures."""
    manifest = SimpleNamespace(fusion_weights_for=lambda *_: weights, affinity_for=lambda *_: affinity)
    model = SimpleNamespace(manifest=manifest, attribute_probs=lambda pictures, stop: rows[: len(pictures)])
    encoder = SimpleNamespace(name="words", version="1")
    return Fusion(None, ClipAttributes(Words()), model, encoder)


def test_what_candidates_show_by_the_readers_that_rank(crops):
    """By both readers, and each together with the crops of its outfit, as candidates are compared."""
    priors = gallery_priors(by_clip(crops).probs)
    rows = np.concatenate(
        [np.random.default_rng(3).dirichlet(np.ones(len(v)), len(crops)) for v in KINDS.values()], 1
    )
    rows[2] = np.nan  # which the model did not read
    shown = (crops, [None] * len(crops), priors, lambda: False)
    weights = dict.fromkeys(KINDS, (20.0, 0.5))
    both = fusion(weights, None, rows).pooled_probs(*shown)
    joint = ClipAttributes(Words()).appearance(crops, rows, weights)
    assert all(np.allclose(both[kind], joint.probs[kind]) for kind in KINDS)

    twins = np.repeat(crops[:3], 2, 0)
    alike = AffinityWeights(cosine=80.0, attributes=0.0, bias=-68.0)  # surely of one's double, of nobody else
    pooled = fusion(weights, alike, rows).pooled_probs(twins, [None] * 6, priors, lambda: False)
    apart = fusion(weights, None, rows).pooled_probs(twins, [None] * 6, priors, lambda: False)
    for kind in KINDS:
        assert np.allclose(pooled[kind].sum(0), 1)
        assert np.allclose(pooled[kind][:, ::2], pooled[kind][:, 1::2], atol=1e-3)
    assert not np.allclose(apart["hat"][:, ::2], apart["hat"][:, 1::2], atol=1e-3)
