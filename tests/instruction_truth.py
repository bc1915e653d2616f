"""Is an instruction sample true of its pictures? A slow check that shares no code with what makes samples."""

from __future__ import annotations

import re

from app.chat.search_state import SearchState
from app.chat.understanding import understand
from app.model.answers import parse_annotation
from app.model.prompts import NO, NONE_OF_THEM, ORDINALS, YES
from app.model.vocabulary import ALL_KINDS
from tests.chat_notation import GALLERY

# What else a word is true of.
WIDER = {
    "shoes": ("sneakers", "boots"),
    "hat": ("cap", "beanie"),
    "glasses": ("sunglasses",),
    "trousers": ("jeans",),
}


def prompt_of(sample) -> str:
    """The question as one text, a picture as "<img>"."""
    return "".join(
        "<img>" if part["type"] == "image" else part["text"]
        for message in sample.messages
        for part in message["content"]
    )


def known(columns, row) -> dict[str, str]:
    """What is known of a crop, in words."""
    return {
        kind: values[place]
        for (kind, values), place in zip(ALL_KINDS.items(), columns.attributes[row], strict=True)
        if place >= 0
    }


def contradicts(columns, row, text) -> bool:
    """Whether a text, as the app reads an operator's words, says something known to be otherwise of a crop."""
    # "no bag and sunglasses" rules out one thing, not two.
    text = re.sub(r"(no \w+) and ", r"\1, with ", text)
    said, own = understand(text, SearchState(), GALLERY), known(columns, row)
    wrong = any(own.get(a.kind, a.value) not in (*WIDER.get(a.value, ()), a.value) for a in said.wanted)
    return wrong or any(own.get(a.kind) == a.value for a in said.unwanted)


def _differ(columns, prompt, references, candidates, matches) -> None:
    """Asserts that a question in our own words says of its pictures what may differ between them."""
    if not prompt.startswith("Query: "):
        return
    lights = {bool(columns.infrared[a] != columns.infrared[b]) for a in references for b in candidates}
    assert ("both infrared and visible" in prompt) == (True in lights)
    if "Now: " in prompt:
        assert "different clothing" in prompt
    for match in matches:
        same = any(columns.outfit[match] == columns.outfit[row] for row in references)
        assert same or "different clothing" in prompt


def _named(sample) -> set[int]:
    return {int(number) - 1 for number in re.findall(r"Image (\d+)", sample.answer)}


def check(columns, sample, *, texts: bool = True) -> None:
    """Asserts that a sample is true. texts: also read what captions say; needs composed ones."""
    rows, task = sample.pictures, sample.task
    prompt = prompt_of(sample)
    assert prompt.count("<img>") == len(rows)
    assert len(set(columns.data_set[list(rows)])) == 1, "samples stay within one data set"
    assert sample.answer
    CHECKS[task](columns, sample, prompt, texts)


def _pair(columns, sample, prompt, texts):
    first, second = sample.pictures
    assert first != second
    assert (columns.person[first] == columns.person[second]) == (sample.answer == YES)
    assert sample.answer in (YES, NO)
    _differ(columns, prompt, [first], [second], [second] if sample.answer == YES else [])


def _gallery(mode):
    def run(columns, sample, prompt, texts):
        query, gallery = sample.pictures[0], sample.pictures[1:]
        assert len(set(sample.pictures)) == len(sample.pictures)
        right = {
            place for place, row in enumerate(gallery, 1) if columns.person[row] == columns.person[query]
        }
        assert _named(sample) == right
        if not right:
            assert sample.answer == NONE_OF_THEM
        for place in right:
            same_light = columns.infrared[gallery[place - 1]] == columns.infrared[query]
            same_clothes = columns.outfit[gallery[place - 1]] == columns.outfit[query]
            wanted = {
                "any": True,
                "alike": same_clothes and same_light,
                "changed": same_light and not same_clothes,
                "light": not same_light,
            }
            assert wanted[mode]
        if mode == "light":
            assert all(columns.infrared[row] != columns.infrared[query] for row in gallery)

    return run


def _caption(columns, sample, prompt, texts):
    (row,) = sample.pictures
    assert sample.answer[0] == sample.answer[0].upper()
    if texts:
        assert not contradicts(columns, row, sample.answer)


def _text_pair(columns, sample, prompt, texts):
    (row,) = sample.pictures
    assert sample.answer in (YES, NO)
    if texts:
        quoted = re.search(r'caption: "(.*)"$|^Query: (.*)\.\n', prompt.replace("<img>", ""))
        text = quoted.group(1) or quoted.group(2)
        assert contradicts(columns, row, text) == (sample.answer == NO), (text, known(columns, row))


def _many_to_one(columns, sample, prompt, texts):
    (row,) = sample.pictures
    captions = re.findall(r'"([^"]*)"', prompt)
    assert 2 <= len(captions) == len(set(captions))
    right = ORDINALS.index(sample.answer.split()[1])
    if texts:
        assert [contradicts(columns, row, text) for text in captions] == [
            place != right for place in range(len(captions))
        ]


def _one_to_many(columns, sample, prompt, texts):
    text = re.search(r'appearance: "?(.*?)"?(\n|$)', prompt).group(1)
    _described(columns, sample, text, sample.pictures, texts)


def _attributes(columns, sample, prompt, texts):
    text = re.match(r"Query: (.*)\.\n", prompt).group(1)
    _described(columns, sample, text, sample.pictures, texts)


def _described(columns, sample, text, gallery, texts):
    named = _named(sample)
    assert len(set(gallery)) == len(gallery)
    assert len(named) == 1 or (not named and sample.answer == NONE_OF_THEM)
    if texts:
        for place, row in enumerate(gallery):
            assert contradicts(columns, row, text) != (place in named), (text, known(columns, row))


def _compare(columns, sample, prompt, texts):
    first, second = (known(columns, row) for row in sample.pictures)
    common, alone, other = re.fullmatch(
        r"Common Attributes: (.*)\. Unique Attributes of the First Image: (.*)\."
        r" Unique Attributes of the Second Image: (.*)\.",
        sample.answer,
    ).groups()
    both = first.keys() & second.keys()
    same = [kind for kind in both if first[kind] == second[kind]]
    counts = [0 if part == "nothing" else len(part.split(", ")) for part in (common, alone, other)]
    assert counts == [len(same), len(both) - len(same), len(both) - len(same)]


def _annotate(columns, sample, prompt, texts):
    own = known(columns, sample.pictures[0])
    read = {a.kind: a.value for a in parse_annotation(sample.answer)}
    assert read.items() <= own.items()
    # "none" says all there is to say of a thing: its colour is not repeated.
    assert all(own[kind.removesuffix("_colour")] == "none" for kind in own.keys() - read.keys())


def _mixed(columns, sample, prompt, texts):
    """One reference and words; with one reference only."""
    query, gallery = sample.pictures[0], sample.pictures[1:]
    named = _named(sample)
    assert len(named) == 1 or (not named and sample.answer == NONE_OF_THEM)
    text = re.search(r"Now: (.*)\.\n", prompt).group(1)
    _differ(columns, prompt, [query], gallery, [])
    for place, row in enumerate(gallery, 1):
        same = columns.person[row] == columns.person[query]
        if place in named:
            assert same and row != query
            assert not (texts and contradicts(columns, row, text))
        else:
            assert not same or contradicts(columns, row, text)


def _best(columns, sample, prompt, texts):
    references = prompt.split("Which image")[0].count("<img>")
    query, gallery = sample.pictures[:references], sample.pictures[references:]
    assert len({int(columns.person[row]) for row in query}) == 1
    right = {
        p for p, row in enumerate(gallery, references) if columns.person[row] == columns.person[query[0]]
    }
    assert _named(sample) == right
    assert len(right) == (sample.answer != NONE_OF_THEM)
    _differ(columns, prompt, query, gallery, [gallery[place - references] for place in right])


def _question(columns, sample, prompt, texts):
    if "match the description" in prompt:
        return _text_pair(columns, sample, prompt, texts)
    first, last = sample.pictures
    assert (columns.person[first] == columns.person[last]) == (sample.answer == YES)
    _differ(columns, prompt, [first], [last], [last] if sample.answer == YES else [])
    if texts and "Now:" in prompt and sample.answer == YES:
        assert not contradicts(columns, last, re.search(r"Now: (.*)\.\n", prompt).group(1))
    return None


CHECKS = {
    "caption": _caption,
    "image-one-to-one": _pair,
    "image-many-to-many": _gallery("any"),
    "text-one-to-one": _text_pair,
    "text-many-to-one": _many_to_one,
    "text-one-to-many": _one_to_many,
    "compare-attributes": _compare,
    "annotate-attributes": _annotate,
    "standard": _gallery("alike"),
    "clothes-changing": _gallery("changed"),
    "visible-infrared": _gallery("light"),
    "text-to-image": _one_to_many,
    "attributes": _attributes,
    "image-plus-text": _mixed,
    "text-plus-match": _mixed,
    "best-choice": _best,
    "pair-question": _question,
}
