"""Attribute evidence against plain arithmetic."""

from zlib import crc32

import numpy as np
import pytest

from app.model.vocabulary import KINDS, Attribute, describe
from app.retrieval.evidence import SHARE, SHARPNESS, AttributeEvidence, text_similarity


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


def test_it_is_the_sum_of_log_shares(crops):
    red, hat = Attribute("upper_colour", "red"), Attribute("hat", "cap")
    found = AttributeEvidence(Words())(lambda rows: rows @ crops.T, [red], [hat])
    expected = np.log(np.clip(plain(crops, red), 1e-4, 1)) + np.log(np.clip(1 - plain(crops, hat), 1e-4, 1))
    assert found == pytest.approx(SHARE * expected, abs=1e-5)
    assert (found <= 0).all()


def test_without_attributes_the_cosine_stands(crops):
    described = Words().encode_texts(["somebody limping"])[0]
    found = text_similarity(AttributeEvidence(Words()), lambda rows: rows @ crops.T, described, [], [])
    assert found == pytest.approx(crops @ described, abs=1e-6)


def test_a_similarity_stays_within_its_range(crops):
    wanted = [Attribute(kind, values[0]) for kind, values in KINDS.items()]
    described = -crops[0]
    found = text_similarity(AttributeEvidence(Words()), lambda rows: rows @ crops.T, described, wanted, [])
    assert found.min() >= -1
    assert found.dtype == np.float32
