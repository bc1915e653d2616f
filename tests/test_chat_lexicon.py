"""The longest phrase at each position, plurals included."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.chat.lexicon import spans_of
from app.chat.message_tokens import tokenise
from app.model.vocabulary import PhraseTable

WORDS = st.sampled_from("abc")


@given(
    st.dictionaries(st.lists(WORDS, min_size=1, max_size=4).map(tuple), st.integers()),
    st.lists(WORDS, min_size=1),
)
def test_the_longest_phrase_that_stands_there(phrases: dict[tuple[str, ...], int], words: list[str]):
    table = PhraseTable(phrases)
    for start in range(len(words)):
        standing = [p for p in phrases if tuple(words[start : start + len(p)]) == p]
        best = max(standing, key=len, default=None)
        assert table.at(words, start) == (None if best is None else (phrases[best], len(best)))


def test_spans_cover_the_message_and_plurals_mean_the_same():
    tokens = tokenise("two blue jackets, a suit case, sneakers and boxes of 12")
    spans = spans_of(tokens)
    assert spans[0].start == 0 and spans[-1].end == len(tokens)
    assert all(one.end == two.start for one, two in pairwise(spans))
    named = {span.text: span.entry.attribute.value for span in spans if span.entry.attribute}
    assert named == {"jackets": "jacket", "suit case": "suitcase", "sneakers": "sneakers"}
    assert {span.text: span.role for span in spans if span.text in ("boxes", "12", ",")} == {
        "boxes": "word", "12": "number", ",": "stop",
    }  # fmt: skip
