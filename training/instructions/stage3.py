"""Stage 3, multi-modal task reasoning: the four Re-ID objectives, word for word, fragments, mixed queries,
best-choice turns, and the yes/no question of run time (sections 3.1.3 and 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

from app.model.prompts import NO, NONE_OF_THEM, YES, best_choice_prompt, pair_prompt, paper_prompt
from app.model.reid_model import LONGEST_LIST
from app.model.vocabulary import Attribute, describe
from training.instructions.sample import Draw, InstructionSample, Task, listed
from training.instructions.stage2 import draw_pair, untrue
from training.instructions.texts import KIND_NAMES, Text, named

# What can be told to have changed between two crops of a person.
CHANGES = tuple(
    map(
        KIND_NAMES.index,
        ("upper_colour", "upper", "upper_pattern", "lower_colour", "lower", "bag", "hat", "shoe_colour"),
    )
)
UNCHANGED = 0.3  # of the queries with changes told, those whose gallery also shows the person before them


def standard(draw: Draw) -> InstructionSample | None:
    return _retrieve(draw, "standard", "standard", "alike")


def clothes_changing(draw: Draw) -> InstructionSample | None:
    return _retrieve(draw, "clothes-changing", "cloth_changing", "changed")


def visible_infrared(draw: Draw) -> InstructionSample | None:
    """The gallery is all in the other light than the query."""
    return _retrieve(draw, "visible-infrared", "visible_infrared", "light")


def text_to_image(draw: Draw) -> InstructionSample | None:
    row = draw.source.told(draw.data_set, draw.chance)
    if row is None:
        return None
    text = draw.tell.some(row, *draw.rules.told, draw.chance)
    size, empty = draw.size(), draw.chance.happens(draw.rules.nobody)
    others = draw.others(row, size if empty else size - 1, text=text)
    if not others:
        return None
    gallery, names = draw.gallery([] if empty else [row], others, first=1)
    messages = paper_prompt("text_to_image", [len(gallery)], [text.text])
    return InstructionSample("text-to-image", messages, tuple(gallery), _answer(names))


def attributes(draw: Draw) -> InstructionSample | None:
    """Best choice from a fragment ("a person wearing a blue top")."""
    row = draw.source.shown(draw.data_set, draw.chance)
    if row is None:
        return None
    text = draw.tell.fragment(row, draw.chance.between(*draw.rules.partial), draw.chance)
    return _choose(draw, "attributes", row, text, (), row)


def image_plus_text(draw: Draw) -> InstructionSample | None:
    """The person of a picture, told in words what has changed since, or, where clothes do not, what else is known."""
    changed = draw.source.query("changed", draw.data_set, 1, draw.chance)
    row = draw.source.query("any", draw.data_set, 1, draw.chance) if changed is None else changed
    if row is None:
        return None
    match = draw.source.matches("any" if changed is None else "changed", row, 1, draw.chance)[0]
    text = _told_since(draw, row, match)
    if text is None:
        return None
    # Only words made of attributes are known to rule out the person as before.
    before = draw.source.matches("alike", row, 1, draw.chance) if text.said else []
    decoys = [
        other for other in before if not draw.tell.about(text, other) and draw.chance.happens(UNCHANGED)
    ]
    return _choose(draw, "image-plus-text", row, text, (row,), match, decoys)


def text_plus_match(draw: Draw) -> InstructionSample | None:
    """A search by words has found a match: words and picture ask for another one of the same person."""
    row = draw.source.query("alike", draw.data_set, 1, draw.chance)
    if row is None:
        return None
    match = draw.source.matches("alike", row, 1, draw.chance)[0]
    texts = draw.source.columns.captions[match]
    if texts:
        text = Text(draw.chance.one(texts))
    else:
        # Words that were true of the match found are asked about again: both crops must show them.
        both = [pair for pair in draw.tell.known(row) if pair in draw.tell.known(match)]
        if not both:
            return None
        said = draw.tell.with_things(match, draw.chance.some(both, draw.chance.between(*draw.rules.partial)))
        text = Text(draw.tell.compose(said, draw.chance), tuple(said))
    return _choose(draw, "text-plus-match", row, text, (row,), match)


def best_choice(draw: Draw) -> InstructionSample | None:
    """One turn of section 3.3's multi-turn best choice by picture; now and then by two pictures of the person."""
    row = draw.source.query("any", draw.data_set, 1, draw.chance)
    if row is None:
        return None
    matches = draw.source.matches("any", row, 2, draw.chance)
    references = (row, matches[1]) if len(matches) > 1 and draw.chance.happens(0.25) else (row,)
    return _choose(draw, "best-choice", row, None, references, matches[0])


def pair_question(draw: Draw) -> InstructionSample | None:
    """Yes or no, as at run time: by picture, by words, or by both."""
    kinds = ["image", "text", "image-plus-text"]
    draw.chance.shuffle(kinds)
    for kind in kinds:
        made = {"image": _by_image, "text": _by_text, "image-plus-text": _by_both}[kind](draw)
        if made is not None:
            text, references, candidate = made
            messages = pair_prompt(text, len(references)).messages
            return InstructionSample(
                "pair-question", messages, (*references, candidate), YES if draw.positive else NO
            )
    return None


def _by_image(draw: Draw) -> tuple[str, tuple[int, ...], int] | None:
    pair = draw_pair(draw)
    return None if pair is None else ("", pair[:1], pair[1])


def _by_text(draw: Draw) -> tuple[str, tuple[int, ...], int] | None:
    row = draw.source.told(draw.data_set, draw.chance)
    if row is None:
        return None
    text = draw.tell.some(row, *draw.rules.told, draw.chance) if draw.positive else untrue(draw, row)
    return None if text is None else (text.text, (), row)


def _by_both(draw: Draw) -> tuple[str, tuple[int, ...], int] | None:
    row = draw.source.query("changed", draw.data_set, 1, draw.chance)
    if row is None:
        return None
    match = draw.source.matches("changed", row, 1, draw.chance)[0]
    text = _told_since(draw, row, match)
    if text is None:
        return None
    if draw.positive:
        return text.text, (row,), match
    others = draw.others(row, 1, infrared=draw.source.infrared[match])
    return (text.text, (row,), others[0]) if others else None


def _told_since(draw: Draw, row: int, match: int) -> Text | None:
    """What a later crop shows otherwise, one to three things of it; or a caption that people wrote of it."""
    changed = [pair for pair in draw.tell.parts(row, match) if pair[0] in CHANGES]
    if changed:
        said = tuple(draw.tell.with_things(match, draw.chance.some(changed, draw.chance.between(1, 3))))
        words = describe([Attribute(kind, value) for kind, value in named(said).items()])
        return Text(words, said)
    texts = draw.source.columns.captions[match]
    return Text(draw.chance.one(texts)) if texts else None


def _retrieve(draw: Draw, task: str, prompt: str, mode: str) -> InstructionSample | None:
    size = draw.size()
    found = draw.matches(mode, size)
    if found is None:
        return None
    row, matches = found
    light = draw.source.infrared[matches[0]]
    if draw.chance.happens(draw.rules.nobody):
        matches = []
    others = draw.others(row, size - len(matches), infrared=light if mode == "light" else None)
    if not others and not matches:
        return None
    gallery, names = draw.gallery(matches, others, first=2)
    messages = paper_prompt(prompt, [1, len(gallery)])
    return InstructionSample(task, messages, (row, *gallery), _answer(names))


def _choose(
    draw: Draw,
    task: str,
    row: int,
    text: Text | None,
    references: Sequence[int],
    match: int,
    decoys: Sequence[int] = (),
) -> InstructionSample | None:
    """A best choice with `match` as the right answer; a gallery without it has none.

    decoys: crops of the query's person that the text rules out. With a picture in the query other people are
    wrong whatever they wear; without one, the text must not be true of them.
    """
    size = min(draw.size(), LONGEST_LIST - len(references))
    empty = draw.chance.happens(draw.rules.nobody)
    if draw.chance.happens(draw.rules.gallery_of_one):
        size, empty = 1, draw.chance.happens(0.5)
    right = [] if empty else [match]
    wrong = list(decoys[: size - len(right)])
    wrong += draw.others(row, size - len(right) - len(wrong), text=None if references else text)
    if not right and not wrong:
        return None
    gallery, names = draw.gallery(right, wrong, first=len(references) + 1)
    prompt = best_choice_prompt(text.text if text else "", len(references), len(gallery))
    return InstructionSample(task, prompt.messages, (*references, *gallery), _answer(names))


def _answer(names: Sequence[str]) -> str:
    return listed(names) if names else NONE_OF_THEM


TASKS: dict[str, Task] = {
    "standard": standard,
    "clothes-changing": clothes_changing,
    "visible-infrared": visible_infrared,
    "text-to-image": text_to_image,
    "attributes": attributes,
    "image-plus-text": image_plus_text,
    "text-plus-match": text_plus_match,
    "best-choice": best_choice,
    "pair-question": pair_question,
}
