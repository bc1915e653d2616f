"""Typing errors are mended, ordinary words are left alone."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import OSA

from app.chat.spelling import _targets, correct, known_words

MENDED = {
    "bakpack": "backpack", "backpak": "backpack", "bacpack": "backpack", "jaket": "jacket", "jakcet": "jacket",
    "wearng": "wearing", "oragne": "orange", "yelow": "yellow", "grene": "green", "balck": "black",
    "wite": "white", "sneekers": "sneakers", "womn": "woman", "glases": "glasses", "sunglases": "sunglasses",
    "umberella": "umbrella", "hoddie": "hoodie", "trowsers": "trousers", "sweter": "sweater",
    "suitcas": "suitcase", "caot": "coat", "cmaera": "camera", "witout": "without", "checkred": "checked",
    "purpel": "purple", "stripd": "stripe",
}  # fmt: skip
ORDINARY = (
    "hate back read bad bed hut bat cat best boat bread while write thing think time sand chair tattoo coast"
)


@pytest.mark.parametrize(("typed", "meant"), MENDED.items())
def test_typing_errors_are_mended(typed: str, meant: str):
    assert correct(typed) == meant


@pytest.mark.parametrize("word", ORDINARY.split())
def test_ordinary_words_stay(word: str):
    assert correct(word) is None


def test_known_words_and_short_words_are_never_corrected():
    assert all(correct(word) is None for word in known_words())
    assert all(correct(word) is None for word in ("ht", "hta", "rd", "bg", "cap", "tie"))


def test_the_commonest_english_words_stay():
    """The words of open_clip's own tokenizer, commonest first: an oracle that nobody here has picked."""
    open_clip = pytest.importorskip("importlib.util").find_spec("open_clip")
    merges = Path(open_clip.origin).parent / "bpe_simple_vocab_16e6.txt.gz"
    lines = gzip.decompress(merges.read_bytes()).decode().split("\n")[1:20_000]
    words = [line.replace(" ", "").removesuffix("</w>") for line in lines if line.endswith("</w>")]
    whole = [word for word in words if word.isascii() and word.isalpha() and len(word) >= 4]
    assert len(whole) > 8_000
    changed = {word: better for word in whole if (better := correct(word))}
    # what remains are pieces of words, misspellings, and other forms of the very word
    assert len(changed) <= 25, changed
    assert all(OSA.distance(word, better) <= 2 for word, better in changed.items())


@given(st.sampled_from(_targets()), st.integers(0, 30), st.sampled_from("aeiorst"))
def test_a_slip_never_leads_far(target: str, place: int, letter: str):
    """One letter changed: mended to a word one or two slips away, or left alone."""
    place = 1 + place % (len(target) - 1)
    typed = target[:place] + letter + target[place + 1 :]
    better = correct(typed)
    assert better is None or OSA.distance(typed, better) <= 2


def test_most_single_slips_in_long_words_are_mended():
    right = wrong = 0
    for target in _targets():
        if len(target) < 7:
            continue
        for place in range(1, len(target)):
            better = correct(target[:place] + target[place + 1 :])  # a letter lost
            right += better == target
            wrong += better not in (target, None)
    assert right > 20 * wrong and right > 500
