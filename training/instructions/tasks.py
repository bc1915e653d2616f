"""The tasks of the three stages: each makes one sample of a SampleContext, or None where this draw gives none.

Stage 1, person attribute understanding: the paper's captioning task (section 3.1.1). Stage 2, fine-grained
retrieval: the seven tasks of Figure 4. Stage 3, multi-modal task reasoning: the four Re-ID objectives word for word,
fragments, mixed queries, best-choice turns, and the yes/no question of run time (sections 3.1.3 and 3.3).
"""

from __future__ import annotations

from collections.abc import Sequence

from app.model.answers import annotation_answer
from app.model.prompts import (
    NO,
    NONE_OF_THEM,
    NOTHING_DIFFERS,
    ORDINALS,
    YES,
    MayDiffer,
    annotate_prompt,
    best_choice_prompt,
    caption_prompt,
    clean_text,
    compare_prompt,
    pair_prompt,
    paper_prompt,
)
from app.model.reid_model import LONGEST_LIST
from app.model.vocabulary import Attribute, and_list, describe, phrase
from training.instructions.columns import KIND_NAMES
from training.instructions.sample import InstructionSample, SampleContext, TaskFunction
from training.instructions.texts import Text, named
from training.synthetic.truth import TOLD_CHANGES

OTHERS_TRIED = 8  # other people looked at for a text that is not true of the crop
SAME = 0.25  # of the comparisons, those of two crops of one person
CHANGES = tuple(map(KIND_NAMES.index, TOLD_CHANGES))
UNCHANGED = 0.3  # of the queries with changes told, those whose gallery also shows the person before them


def caption(context: SampleContext) -> InstructionSample | None:
    """The paper's question about one crop; the answer tells all that shows."""
    row = context.source.told(context.data_set, context.rng)
    if row is None:
        return None
    text = clean_text(context.tell.whole(row, context.rng), limit=None)
    answer = text[:1].upper() + text[1:]
    return InstructionSample(
        "caption", caption_prompt(), (row,), answer if answer.endswith((".", "!", "?")) else answer + "."
    )


def image_one_to_one(context: SampleContext) -> InstructionSample | None:
    """Do two pictures show one person? From different cameras where there are some; half of the pairs match."""
    pair = draw_pair(context)
    if pair is None:
        return None
    *crops, may_differ = pair
    if context.rng.happens(context.rules.query_first):
        messages = pair_prompt("", 1, may_differ).messages
    else:
        messages = paper_prompt("image_one_to_one", [2])
    return InstructionSample("image-one-to-one", messages, tuple(crops), YES if context.positive else NO)


def image_many_to_many(context: SampleContext) -> InstructionSample | None:
    """All pictures of the query's person in a gallery; N and n by training.instructions.mixtures."""
    size = context.size()
    found = context.matches("any", size)
    if found is None:
        return None
    row, matches = found
    others = context.others(row, size - len(matches))
    gallery, names = context.gallery(matches, others, first=2)
    verb = "matches" if len(names) == 1 else "match"
    answer = f"{and_list(names)} {verb} the identity of the pedestrian in the query image."
    messages = paper_prompt("image_many_to_many", [1, len(gallery)])
    return InstructionSample("image-many-to-many", messages, (row, *gallery), answer)


def text_one_to_one(context: SampleContext) -> InstructionSample | None:
    """Is a text true of a picture? Half are; the others are true of somebody else, and not of the picture."""
    row = context.source.told(context.data_set, context.rng)
    if row is None:
        return None
    text = (
        context.tell.some(row, *context.rules.told, context.rng) if context.positive else untrue(context, row)
    )
    if text is None:
        return None
    if context.rng.happens(context.rules.query_first):
        messages = pair_prompt(text.text, words_behind=context.rules.words_behind).messages
    else:
        messages = paper_prompt("text_one_to_one", [1], [text.text])
    return InstructionSample("text-one-to-one", messages, (row,), YES if context.positive else NO)


def text_many_to_one(context: SampleContext) -> InstructionSample | None:
    """Which caption is the picture's? One is true of it, no two are alike."""
    row = context.source.told(context.data_set, context.rng)
    if row is None:
        return None
    texts = [context.tell.some(row, *context.rules.told, context.rng).text]
    count = context.rng.between(*context.rules.captions)
    for _ in range(3 * count):
        if len(texts) == count:
            break
        text = untrue(context, row)
        if text is not None and text.text not in texts:
            texts.append(text.text)
    if len(texts) < 2:
        return None
    right = texts[0]
    context.rng.shuffle(texts)
    messages = paper_prompt("text_many_to_one", [1], texts)
    return InstructionSample(
        "text-many-to-one", messages, (row,), f"The {ORDINALS[texts.index(right)]} caption"
    )


def text_one_to_many(context: SampleContext) -> InstructionSample | None:
    """Which picture does a caption tell of? One picture is its own; of no other could it be true."""
    row = context.source.told(context.data_set, context.rng)
    if row is None:
        return None
    text = context.tell.some(row, *context.rules.told, context.rng)
    others = context.others(row, context.size() - 1, text=text)
    if not others:
        return None
    gallery, names = context.gallery([row], others, first=1)
    messages = paper_prompt("text_one_to_many", [len(gallery)], [text.text])
    answer = f"{names[0]} matches the following description."
    return InstructionSample("text-one-to-many", messages, tuple(gallery), answer)


def compare_attributes(context: SampleContext) -> InstructionSample | None:
    """What two pictures have in common and what each has alone, of the attributes known of both."""
    first = context.source.shown(context.data_set, context.rng)
    if first is None:
        return None
    seconds = context.source.matches("any", first, 1, context.rng) if context.rng.happens(SAME) else []
    seconds = seconds or context.others(first, 1)
    if not seconds:
        return None
    a, b = context.tell.seen(first), context.tell.seen(seconds[0])
    both = [kind for kind in a if kind in b]
    differ = [kind for kind in both if a[kind] != b[kind]]
    if not both:
        return None
    answer = (
        f"Common Attributes: {_words(a, [kind for kind in both if a[kind] == b[kind]])}. "
        f"Unique Attributes of the First Image: {_words(a, differ)}. "
        f"Unique Attributes of the Second Image: {_words(b, differ)}."
    )
    return InstructionSample("compare-attributes", compare_prompt(), (first, seconds[0]), answer)


def annotate_attributes(context: SampleContext) -> InstructionSample | None:
    """All attributes that show, in the format in which the app reads them."""
    row = context.source.shown(context.data_set, context.rng)
    if row is None:
        return None
    answer = annotation_answer(context.tell.seen(row), context.rules.vocabulary)
    return InstructionSample("annotate-attributes", annotate_prompt(), (row,), answer)


def draw_pair(context: SampleContext) -> tuple[int, int, MayDiffer] | None:
    """Two crops of one person, or, where the pair is not to match, of two; and what may differ between them.

    A match and somebody else in the match's light are drawn before one of them is taken, and what may differ is said
    of the match: neither that nor that a pair crosses from visible to infrared tells its answer.
    """
    row = context.source.query("any", context.data_set, 1, context.rng)
    if row is None:
        return None
    match = context.source.matches("any", row, 1, context.rng)[0]
    others = context.others(row, 1, infrared=context.source.infrared[match])
    if not others:
        return None
    other_clothes = context.source.says_other_clothes([row], match, context.rng)
    may_differ = MayDiffer(other_clothes, context.source.lights_differ([row], [match]))
    return row, match if context.positive else others[0], may_differ


def untrue(context: SampleContext, row: int) -> Text | None:
    """A text about somebody else that is not true of a crop."""
    for _ in range(OTHERS_TRIED):
        for other in context.others(row, 1):
            text = context.tell.untrue(row, other, *context.rules.told, context.rng)
            if text is not None:
                return text
    return None


def _words(said: dict[str, str], kinds: list[str]) -> str:
    return ", ".join(phrase(Attribute(kind, said[kind])) for kind in kinds) or "nothing"


def standard(context: SampleContext) -> InstructionSample | None:
    return _retrieve(context, "standard", "standard", "alike")


def clothes_changing(context: SampleContext) -> InstructionSample | None:
    return _retrieve(context, "clothes-changing", "cloth_changing", "changed")


def visible_infrared(context: SampleContext) -> InstructionSample | None:
    """The gallery is all in the other light than the query."""
    return _retrieve(context, "visible-infrared", "visible_infrared", "light")


def text_to_image(context: SampleContext) -> InstructionSample | None:
    row = context.source.told(context.data_set, context.rng)
    if row is None:
        return None
    text = context.tell.some(row, *context.rules.told, context.rng)
    size, empty = context.size(), context.rng.happens(context.rules.nobody)
    others = context.others(row, size if empty else size - 1, text=text)
    if not others:
        return None
    gallery, names = context.gallery([] if empty else [row], others, first=1)
    messages = paper_prompt("text_to_image", [len(gallery)], [text.text])
    return InstructionSample("text-to-image", messages, tuple(gallery), _answer(names))


def attributes(context: SampleContext) -> InstructionSample | None:
    """Best choice from a fragment ("a person wearing a blue top")."""
    row = context.source.shown(context.data_set, context.rng)
    if row is None:
        return None
    text = context.tell.fragment(row, context.rng.between(*context.rules.partial), context.rng)
    return _choose(context, "attributes", row, text, (), row)


def image_plus_text(context: SampleContext) -> InstructionSample | None:
    """The person of a picture, told in words what has changed since, or, where clothes do not, what else is known."""
    changed = context.source.query("changed", context.data_set, 1, context.rng)
    row = context.source.query("any", context.data_set, 1, context.rng) if changed is None else changed
    if row is None:
        return None
    match = context.source.matches("any" if changed is None else "changed", row, 1, context.rng)[0]
    text = _told_since(context, row, match)
    if text is None:
        return None
    # Only words made of attributes are known to rule out the person as before.
    before = context.source.matches("alike", row, 1, context.rng) if text.said else []
    decoys = [
        other for other in before if not context.tell.about(text, other) and context.rng.happens(UNCHANGED)
    ]
    return _choose(context, "image-plus-text", row, text, (row,), match, decoys)


def text_plus_match(context: SampleContext) -> InstructionSample | None:
    """A search by words has found a match: words and picture ask for another one of the same person."""
    row = context.source.query("alike", context.data_set, 1, context.rng)
    if row is None:
        return None
    match = context.source.matches("alike", row, 1, context.rng)[0]
    texts = context.source.columns.captions[match]
    if texts:
        text = Text(context.rng.one(texts))
    else:
        # Words that were true of the match found are asked about again: both crops must show them.
        both = [pair for pair in context.tell.known(row) if pair in context.tell.known(match)]
        if not both:
            return None
        said = context.tell.with_things(
            match, context.rng.some(both, context.rng.between(*context.rules.partial))
        )
        text = Text(context.tell.compose(said, context.rng), tuple(said))
    return _choose(context, "text-plus-match", row, text, (row,), match)


def best_choice(context: SampleContext) -> InstructionSample | None:
    """One turn of section 3.3's multi-turn best choice by picture; now and then by two pictures of the person."""
    row = context.source.query("any", context.data_set, 1, context.rng)
    if row is None:
        return None
    matches = context.source.matches("any", row, 2, context.rng)
    references = (row, matches[1]) if len(matches) > 1 and context.rng.happens(0.25) else (row,)
    return _choose(context, "best-choice", row, None, references, matches[0])


def pair_question(context: SampleContext) -> InstructionSample | None:
    """Yes or no, as at run time: by picture, by words, or by both."""
    kinds = ["image", "text", "image-plus-text"]
    context.rng.shuffle(kinds)
    for kind in kinds:
        made = {"image": _by_image, "text": _by_text, "image-plus-text": _by_both}[kind](context)
        if made is not None:
            text, references, candidate, may_differ = made
            behind = context.rules.words_behind
            messages = pair_prompt(text, len(references), may_differ, words_behind=behind).messages
            return InstructionSample(
                "pair-question", messages, (*references, candidate), YES if context.positive else NO
            )
    return None


Pair = tuple[str, tuple[int, ...], int, MayDiffer]  # description, references, candidate, what may differ


def _by_image(context: SampleContext) -> Pair | None:
    pair = draw_pair(context)
    return None if pair is None else ("", pair[:1], pair[1], pair[2])


def _by_text(context: SampleContext) -> Pair | None:
    row = context.source.told(context.data_set, context.rng)
    if row is None:
        return None
    text = (
        context.tell.some(row, *context.rules.told, context.rng) if context.positive else untrue(context, row)
    )
    return None if text is None else (text.text, (), row, NOTHING_DIFFERS)


def _by_both(context: SampleContext) -> Pair | None:
    row = context.source.query("changed", context.data_set, 1, context.rng)
    if row is None:
        return None
    match = context.source.matches("changed", row, 1, context.rng)[0]
    text = _told_since(context, row, match)
    if text is None:
        return None
    may_differ = MayDiffer(clothes=True)  # a match of the mode "changed" is in the same light
    if context.positive:
        return text.text, (row,), match, may_differ
    others = context.others(row, 1, infrared=context.source.infrared[match])
    return (text.text, (row,), others[0], may_differ) if others else None


def _told_since(context: SampleContext, row: int, match: int) -> Text | None:
    """What a later crop shows otherwise, one to three things of it; or a caption that people wrote of it."""
    changed = [pair for pair in context.tell.parts(row, match) if pair[0] in CHANGES]
    if changed:
        said = tuple(context.tell.with_things(match, context.rng.some(changed, context.rng.between(1, 3))))
        words = describe([Attribute(kind, value) for kind, value in named(said).items()])
        return Text(words, said)
    texts = context.source.columns.captions[match]
    return Text(context.rng.one(texts)) if texts else None


def _retrieve(context: SampleContext, task: str, prompt: str, mode: str) -> InstructionSample | None:
    size = context.size()
    found = context.matches(mode, size)
    if found is None:
        return None
    row, matches = found
    light = context.source.infrared[matches[0]]
    if context.rng.happens(context.rules.nobody):
        matches = []
    others = context.others(row, size - len(matches), infrared=light if mode == "light" else None)
    if not others and not matches:
        return None
    gallery, names = context.gallery(matches, others, first=2)
    messages = paper_prompt(prompt, [1, len(gallery)])
    return InstructionSample(task, messages, (row, *gallery), _answer(names))


def _choose(
    context: SampleContext,
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
    size = min(context.size(), LONGEST_LIST - len(references))
    empty = context.rng.happens(context.rules.nobody)
    if context.rng.happens(context.rules.gallery_of_one):
        size, empty = 1, context.rng.happens(0.5)
    right = [] if empty else [match]
    wrong = list(decoys[: size - len(right)])
    wrong += context.others(row, size - len(right) - len(wrong), text=None if references else text)
    if not right and not wrong:
        return None
    gallery, names = context.gallery(right, wrong, first=len(references) + 1)
    may_differ = MayDiffer(
        context.source.says_other_clothes(references, match, context.rng),
        context.source.lights_differ(references, gallery),
    )
    prompt = best_choice_prompt(text.text if text else "", len(references), len(gallery), may_differ)
    return InstructionSample(task, prompt.messages, (*references, *gallery), _answer(names))


def _answer(names: Sequence[str]) -> str:
    return and_list(names) if names else NONE_OF_THEM


TASKS: dict[str, TaskFunction] = {
    # stage 1
    "caption": caption,
    # stage 2
    "image-one-to-one": image_one_to_one,
    "image-many-to-many": image_many_to_many,
    "text-one-to-one": text_one_to_one,
    "text-many-to-one": text_many_to_one,
    "text-one-to-many": text_one_to_many,
    "compare-attributes": compare_attributes,
    "annotate-attributes": annotate_attributes,
    # stage 3
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
