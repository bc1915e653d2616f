"""Stage 2, fine-grained retrieval: the seven tasks of Figure 4."""

from __future__ import annotations

import numpy as np

from app.model.answers import annotation_answer
from app.model.prompts import NO, ORDINALS, YES, annotate_prompt, compare_prompt, image_name, paper_prompt
from app.model.vocabulary import Attribute, phrase
from training.instructions.sample import InstructionSample, Source, Task
from training.synthetic.captions import caption, fragment

GALLERY = (2, 6)  # N of the many-to-many task, uniform


def image_one_to_one(source: Source, rng: np.random.Generator) -> InstructionSample | None:
    row = source.crop(rng)
    same = rng.random() < 0.5
    second = source.matches(row, rng, 1) if same else source.others(row, rng, 1)
    if not second:
        return None
    messages = paper_prompt("image_one_to_one", [2])
    return InstructionSample("image-one-to-one", messages, (row, second[0]), YES if same else NO)


def image_many_to_many(source: Source, rng: np.random.Generator) -> InstructionSample | None:
    row = source.crop(rng)
    size = int(rng.integers(GALLERY[0], GALLERY[1] + 1))
    found = source.matches(row, rng, 1 + int(rng.integers(2)))
    if not found or len(found) > size:
        return None
    gallery, names = shuffled(found, source.others(row, rng, size - len(found)), rng, first=2)
    answer = f"{' and '.join(names)} match the identity of the pedestrian in the query image."
    messages = paper_prompt("image_many_to_many", [1, size])
    return InstructionSample("image-many-to-many", messages, (row, *gallery), answer)


def text_one_to_one(source: Source, rng: np.random.Generator) -> InstructionSample:
    row = source.crop(rng)
    same = rng.random() < 0.5
    text = _tell(source, row if same else source.others(row, rng, 1)[0], rng)
    messages = paper_prompt("text_one_to_one", [1], [text])
    return InstructionSample("text-one-to-one", messages, (row,), YES if same else NO)


def text_many_to_one(source: Source, rng: np.random.Generator) -> InstructionSample:
    row = source.crop(rng)
    texts = [_tell(source, r, rng) for r in source.others(row, rng, 2)]
    place = int(rng.integers(3))
    texts.insert(place, _tell(source, row, rng))
    messages = paper_prompt("text_many_to_one", [1], texts)
    return InstructionSample("text-many-to-one", messages, (row,), f"The {ORDINALS[place]} caption")


def text_one_to_many(source: Source, rng: np.random.Generator) -> InstructionSample:
    row = source.crop(rng)
    size = int(rng.integers(GALLERY[0], GALLERY[1] + 1))
    gallery, names = shuffled([row], source.others(row, rng, size - 1), rng, first=1)
    messages = paper_prompt("text_one_to_many", [size], [_tell(source, row, rng)])
    answer = f"{names[0]} matches the following description."
    return InstructionSample("text-one-to-many", messages, tuple(gallery), answer)


def compare_attributes(source: Source, rng: np.random.Generator) -> InstructionSample:
    first = source.crop(rng)
    second = source.others(first, rng, 1)[0]
    a, b = source.pool.seen(first), source.pool.seen(second)
    common = [k for k in a if a[k] == b.get(k)]
    answer = (
        f"Common Attributes: {_words(a, common)}. "
        f"Unique Attributes of the First Image: {_words(a, [k for k in a if k in b and a[k] != b[k]])}. "
        f"Unique Attributes of the Second Image: {_words(b, [k for k in b if k in a and a[k] != b[k]])}."
    )
    return InstructionSample("compare-attributes", compare_prompt(), (first, second), answer)


def annotate_attributes(source: Source, rng: np.random.Generator) -> InstructionSample:
    row = source.crop(rng)
    return InstructionSample(
        "annotate-attributes", annotate_prompt(), (row,), annotation_answer(source.pool.seen(row))
    )


def shuffled(
    matches: list[int], others: list[int], rng: np.random.Generator, first: int
) -> tuple[list[int], list[str]]:
    """A gallery in random order, and the matches' names in it; pictures are numbered from `first`."""
    rows = matches + others
    order = rng.permutation(len(rows))
    names = [image_name(first + place) for place, i in enumerate(order) if i < len(matches)]
    return [rows[i] for i in order], names


def _tell(source: Source, row: int, rng: np.random.Generator) -> str:
    return caption(fragment(source.pool.seen(row), rng, int(rng.integers(3, 9))), rng)


def _words(said: dict[str, str], kinds: list[str]) -> str:
    return ", ".join(phrase(Attribute(kind, said[kind])) for kind in kinds) or "nothing"


MIXTURE: dict[str, tuple[Task, float]] = {
    "image-one-to-one": (image_one_to_one, 0.25),
    "image-many-to-many": (image_many_to_many, 0.25),
    "text-one-to-one": (text_one_to_one, 0.10),
    "text-many-to-one": (text_many_to_one, 0.10),
    "text-one-to-many": (text_one_to_many, 0.10),
    "compare-attributes": (compare_attributes, 0.10),
    "annotate-attributes": (annotate_attributes, 0.10),
}
