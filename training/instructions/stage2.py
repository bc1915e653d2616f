"""Stage 2, fine-grained retrieval: the seven tasks of Figure 4."""

from __future__ import annotations

from app.model.answers import annotation_answer
from app.model.prompts import NO, ORDINALS, YES, annotate_prompt, compare_prompt, pair_prompt, paper_prompt
from app.model.vocabulary import Attribute, phrase
from training.instructions.sample import Draw, InstructionSample, Task, listed
from training.instructions.texts import Text

TRIES = 8  # other people looked at for a text that is not true of the crop
SAME = 0.25  # of the comparisons, those of two crops of one person


def image_one_to_one(draw: Draw) -> InstructionSample | None:
    """Do two pictures show one person? From different cameras where there are some; half of the pairs match."""
    pair = draw_pair(draw)
    if pair is None:
        return None
    if draw.chance.happens(draw.rules.query_first):
        messages = pair_prompt("", 1).messages
    else:
        messages = paper_prompt("image_one_to_one", [2])
    return InstructionSample("image-one-to-one", messages, pair, YES if draw.positive else NO)


def image_many_to_many(draw: Draw) -> InstructionSample | None:
    """All pictures of the query's person in a gallery; N and n by training.instructions.sizes."""
    size = draw.size()
    found = draw.matches("any", size)
    if found is None:
        return None
    row, matches = found
    others = draw.others(row, size - len(matches))
    gallery, names = draw.gallery(matches, others, first=2)
    verb = "matches" if len(names) == 1 else "match"
    answer = f"{listed(names)} {verb} the identity of the pedestrian in the query image."
    messages = paper_prompt("image_many_to_many", [1, len(gallery)])
    return InstructionSample("image-many-to-many", messages, (row, *gallery), answer)


def text_one_to_one(draw: Draw) -> InstructionSample | None:
    """Is a text true of a picture? Half are; the others are true of somebody else, and not of the picture."""
    row = draw.source.told(draw.data_set, draw.chance)
    if row is None:
        return None
    text = draw.tell.some(row, *draw.rules.told, draw.chance) if draw.positive else untrue(draw, row)
    if text is None:
        return None
    if draw.chance.happens(draw.rules.query_first):
        messages = pair_prompt(text.text).messages
    else:
        messages = paper_prompt("text_one_to_one", [1], [text.text])
    return InstructionSample("text-one-to-one", messages, (row,), YES if draw.positive else NO)


def text_many_to_one(draw: Draw) -> InstructionSample | None:
    """Which caption is the picture's? One is true of it, no two are alike."""
    row = draw.source.told(draw.data_set, draw.chance)
    if row is None:
        return None
    texts = [draw.tell.some(row, *draw.rules.told, draw.chance).text]
    count = draw.chance.between(*draw.rules.captions)
    for _ in range(3 * count):
        if len(texts) == count:
            break
        text = untrue(draw, row)
        if text is not None and text.text not in texts:
            texts.append(text.text)
    if len(texts) < 2:
        return None
    right = texts[0]
    draw.chance.shuffle(texts)
    messages = paper_prompt("text_many_to_one", [1], texts)
    return InstructionSample(
        "text-many-to-one", messages, (row,), f"The {ORDINALS[texts.index(right)]} caption"
    )


def text_one_to_many(draw: Draw) -> InstructionSample | None:
    """Which picture does a caption tell of? One picture is its own; of no other could it be true."""
    row = draw.source.told(draw.data_set, draw.chance)
    if row is None:
        return None
    text = draw.tell.some(row, *draw.rules.told, draw.chance)
    others = draw.others(row, draw.size() - 1, text=text)
    if not others:
        return None
    gallery, names = draw.gallery([row], others, first=1)
    messages = paper_prompt("text_one_to_many", [len(gallery)], [text.text])
    answer = f"{names[0]} matches the following description."
    return InstructionSample("text-one-to-many", messages, tuple(gallery), answer)


def compare_attributes(draw: Draw) -> InstructionSample | None:
    """What two pictures have in common and what each has alone, of the attributes known of both."""
    first = draw.source.shown(draw.data_set, draw.chance)
    if first is None:
        return None
    seconds = draw.source.matches("any", first, 1, draw.chance) if draw.chance.happens(SAME) else []
    seconds = seconds or draw.others(first, 1)
    if not seconds:
        return None
    a, b = draw.tell.seen(first), draw.tell.seen(seconds[0])
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


def annotate_attributes(draw: Draw) -> InstructionSample | None:
    """All attributes that show, in the format in which the app reads them."""
    row = draw.source.shown(draw.data_set, draw.chance)
    if row is None:
        return None
    answer = annotation_answer(draw.tell.seen(row))
    return InstructionSample("annotate-attributes", annotate_prompt(), (row,), answer)


def draw_pair(draw: Draw) -> tuple[int, int] | None:
    """Two crops of one person, or, where the pair is not to match, of two.

    The crop that does not match is in the same light as one that would: that a pair crosses from visible to
    infrared says nothing of its answer.
    """
    row = draw.source.query("any", draw.data_set, 1, draw.chance)
    if row is None:
        return None
    match = draw.source.matches("any", row, 1, draw.chance)[0]
    if draw.positive:
        return row, match
    light = draw.source.infrared[match]
    others = draw.others(row, 1, infrared=light) or draw.others(row, 1)
    return (row, others[0]) if others else None


def untrue(draw: Draw, row: int) -> Text | None:
    """A text about somebody else that is not true of a crop."""
    for _ in range(TRIES):
        for other in draw.others(row, 1):
            text = draw.tell.untrue(row, other, *draw.rules.told, draw.chance)
            if text is not None:
                return text
    return None


def _words(said: dict[str, str], kinds: list[str]) -> str:
    return ", ".join(phrase(Attribute(kind, said[kind])) for kind in kinds) or "nothing"


TASKS: dict[str, Task] = {
    "image-one-to-one": image_one_to_one,
    "image-many-to-many": image_many_to_many,
    "text-one-to-one": text_one_to_one,
    "text-many-to-one": text_many_to_one,
    "text-one-to-many": text_one_to_many,
    "compare-attributes": compare_attributes,
    "annotate-attributes": annotate_attributes,
}
