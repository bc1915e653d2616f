"""Attribute evidence against plain arithmetic."""

from zlib import crc32

import numpy as np
import pytest

from app.model.annotation import AttributeReading
from app.model.vocabulary import KINDS, Attribute, describe
from app.retrieval.evidence import SHARPNESS, AttributeEvidence, sensible
from app.retrieval.shares import MOST_ALIKE
from app.retrieval.similarity import SHARE, alike, picture_similarity, text_similarity


class Words:
    """Each text a fixed random unit row."""

    def encode_texts(self, texts):
        rows = np.stack([np.random.default_rng(crc32(t.encode())).normal(size=16) for t in texts])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def crops():
    rows = np.random.default_rng(1).normal(size=(7, 16))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def plain(crops, attribute):
    texts = Words().encode_texts([describe((Attribute(attribute.kind, v),)) for v in KINDS[attribute.kind]])
    shares = []
    for crop in crops:
        weights = [np.exp(SHARPNESS * float(crop @ text)) for text in texts]
        shares.append(weights[KINDS[attribute.kind].index(attribute.value)] / sum(weights))
    return np.array(shares)


def seen(crops):
    """By CLIP."""
    return AttributeEvidence(Words()).looks(crops).seen


def test_it_is_the_sum_of_log_shares(crops):
    red, hat = Attribute("upper_colour", "red"), Attribute("hat", "cap")
    described = np.zeros(16, np.float32)
    found = text_similarity(seen(crops), described, [red], [hat])
    expected = np.log(np.clip(plain(crops, red), 1e-4, 1)) + np.log(np.clip(1 - plain(crops, hat), 1e-4, 1))
    assert found == pytest.approx(np.clip(SHARE * expected, -1, 1), abs=1e-5)
    assert (found <= 0).all()


def test_without_attributes_the_cosine_stands(crops):
    described = Words().encode_texts(["somebody limping"])[0]
    assert text_similarity(seen(crops), described, [], []) == pytest.approx(crops @ described, abs=1e-6)


def test_a_similarity_stays_within_its_range(crops):
    wanted = [Attribute(kind, values[0]) for kind, values in KINDS.items()]
    found = text_similarity(seen(crops), -crops[0], wanted, [])
    assert found.min() >= -1
    assert found.dtype == np.float32


def test_two_pictures_are_alike_by_the_chance_that_each_kind_shows_one_value(crops):
    evidence = AttributeEvidence(Words())
    usual = evidence.usual(lambda rows: rows @ crops.T)
    found = alike(seen(crops[:2]).shares, seen(crops).shares, tuple(KINDS), usual, len(crops))
    logs = []
    for kind, values in KINDS.items():
        shares = np.stack([plain(crops, Attribute(kind, value)) for value in values])
        own = (shares[:, 0] + shares[:, 1]) / 2
        common = (shares.sum(1) + 1 / len(values)) / 8
        logs.append(np.clip(np.log((own / common) @ shares), -MOST_ALIKE, MOST_ALIKE))
    expected = np.mean(logs, axis=0) / MOST_ALIKE
    assert found == pytest.approx(expected, abs=1e-5)
    assert (np.abs(found) <= 1).all()


def test_a_pictures_similarity_is_a_share_of_cosine_and_attributes(crops):
    evidence = AttributeEvidence(Words())
    usual, own = evidence.usual(lambda rows: rows @ crops.T), evidence.looks(crops[:2])
    mean = crops[:2].mean(0) / np.linalg.norm(crops[:2].mean(0))
    assert picture_similarity(own, seen(crops), 0, usual) == pytest.approx(crops @ mean, abs=1e-6)
    mixed = picture_similarity(own, seen(crops), 0.25, usual)
    how = alike(own.shares, seen(crops).shares, tuple(KINDS), usual, len(crops))
    assert mixed == pytest.approx(0.75 * crops @ mean + 0.25 * how, abs=1e-6)
    assert mixed.dtype == np.float32


def test_in_a_large_gallery_the_nearest_are_compared_and_stay_in_front(crops, monkeypatch):
    evidence = AttributeEvidence(Words())
    usual, own = evidence.usual(lambda rows: rows @ crops.T), evidence.looks(crops[:1])

    def among(places):
        return seen(crops[places])

    every = picture_similarity(own, seen(crops), 0.5, usual, among=among)
    monkeypatch.setattr("app.retrieval.similarity.MOST_COMPARED", 3)
    some = picture_similarity(own, seen(crops), 0.5, usual, among=among)
    near = np.argsort(-(crops @ crops[0]))[:3]
    far = np.setdiff1d(np.arange(len(crops)), near)
    assert some[near] == pytest.approx(every[near], abs=1e-6)
    assert some[far] == pytest.approx(0.5 * (crops @ crops[0])[far] - 0.5, abs=1e-6)
    assert some[near].min() > some[far].max()


def test_with_nothing_to_compare_no_crop_is_more_alike(crops):
    usual = AttributeEvidence(Words()).usual(lambda rows: rows @ crops.T)
    found = alike(seen(crops[:1]).shares, seen(crops).shares, (), usual, len(crops))
    assert found.shape == (len(crops),) and not found.any()


def both(crops, read, readers, attribute):
    """As `plain`, by both readers."""
    kind, values = attribute.kind, KINDS[attribute.kind]
    texts = Words().encode_texts([describe((Attribute(kind, value),)) for value in values])
    first = [k for k in KINDS for _ in KINDS[k]].index(kind)
    clip, model = readers[kind]
    weights = np.exp(clip * crops @ texts.T) * read[:, first : first + len(values)] ** model
    return (weights / weights.sum(1, keepdims=True))[:, values.index(attribute.value)]


def test_what_the_model_reads_counts_beside_clip(crops):
    rng = np.random.default_rng(2)
    read = np.concatenate([rng.dirichlet(np.ones(len(values)), 7) for values in KINDS.values()], 1)
    readers = {kind: (float(rng.uniform(1, 9)), float(rng.uniform(0, 1))) for kind in KINDS}
    evidence = AttributeEvidence(Words())
    looks, own = evidence.looks(crops, read, readers), evidence.looks(crops[:2], read[:2], readers)
    red, hat = Attribute("upper_colour", "red"), Attribute("hat", "cap")
    described = Words().encode_texts(["a person"])[0]
    found = text_similarity(looks.seen, described, [red], [hat])
    stated = np.log(both(crops, read, readers, red)) + np.log(1 - both(crops, read, readers, hat))
    assert found == pytest.approx(np.clip(crops @ described + SHARE * stated, -1, 1), abs=1e-5)
    kinds = ("bag", "hat")
    usual = evidence.usual(lambda rows: rows @ crops.T)
    logs = []
    for kind in kinds:
        shares = np.stack([both(crops, read, readers, Attribute(kind, value)) for value in KINDS[kind]])
        ratios = (shares[:, :2].mean(1) / usual(kind)) @ shares
        logs.append(np.clip(np.log(ratios), -MOST_ALIKE, MOST_ALIKE))
    found = picture_similarity(own, looks.seen, 1, usual, kinds=kinds)
    assert found == pytest.approx(np.mean(logs, axis=0) / MOST_ALIKE, abs=1e-5)
    for said in evidence.read(crops[3], read[3], readers):
        values = KINDS[said.attribute.kind]
        shares = [both(crops, read, readers, Attribute(said.attribute.kind, v))[3] for v in values]
        assert said.confidence == pytest.approx(max(shares), abs=1e-5)
        assert said.attribute.value == values[int(np.argmax(shares))]


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
