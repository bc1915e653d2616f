"""Stage 3, multi-modal task reasoning: the four Re-ID objectives, word for word, and best-choice turns."""

from __future__ import annotations

import numpy as np

from app.model.answers import annotation_answer
from app.model.prompts import NONE_OF_THEM, annotate_prompt, best_choice_prompt, paper_prompt
from app.model.vocabulary import Attribute, describe
from training.instructions.sample import InstructionSample, Source, Task
from training.instructions.stage2 import GALLERY, shuffled
from training.synthetic.captions import caption, fragment

NOBODY = 0.1  # the share of galleries without a match; 0 reproduces the paper


def standard(source: Source, rng: np.random.Generator) -> InstructionSample | None:
    return _retrieve(source, rng, "standard", None)


def clothes_changing(source: Source, rng: np.random.Generator) -> InstructionSample | None:
    row = source.crop(rng)
    own = source.pool.clothes[row]
    return _retrieve(source, rng, "cloth_changing", lambda r: source.pool.clothes[r] != own, row)


def visible_infrared(source: Source, rng: np.random.Generator) -> InstructionSample | None:
    row = source.crop(rng)
    own = source.pool.infrared[row]
    return _retrieve(source, rng, "visible_infrared", lambda r: source.pool.infrared[r] != own, row)


def text_to_image(source: Source, rng: np.random.Generator) -> InstructionSample:
    row = source.crop(rng)
    size = _size(rng)
    gallery, names = shuffled([row], source.others(row, rng, size - 1), rng, first=1)
    messages = paper_prompt("text_to_image", [size], [_tell(source, row, rng, 9)])
    return InstructionSample("text-to-image", messages, tuple(gallery), names[0])


def attributes(source: Source, rng: np.random.Generator) -> InstructionSample | None:
    """Best choice from a fragment ("a person wearing a blue top"); with a stated share of empty galleries."""
    row = source.crop(rng)
    text = _tell(source, row, rng, 3)
    return _choose(source, rng, row, text, (), [row])


def best_choice(source: Source, rng: np.random.Generator) -> InstructionSample | None:
    """One turn of section 3.3's multi-turn best choice by picture."""
    row = source.crop(rng)
    return _choose(source, rng, row, "", (row,), source.matches(row, rng, 1))


def image_plus_text(source: Source, rng: np.random.Generator) -> InstructionSample | None:
    """The person of a picture, told in words what has changed since."""
    row = source.crop(rng)
    own = source.pool.clothes[row]
    found = source.matches(row, rng, 1, keep=lambda r: source.pool.clothes[r] != own)
    if not found:
        return None
    changed = source.pool.seen(found[0])
    kinds = [k for k in ("upper_colour", "upper", "lower_colour", "bag", "hat") if k in changed]
    said = {k: changed[k] for k in rng.permutation(kinds)[: int(rng.integers(1, 4))]}
    text = describe([Attribute(k, v) for k, v in said.items()])
    return _choose(source, rng, row, text, (row,), found)


def annotate(source: Source, rng: np.random.Generator) -> InstructionSample:
    """A little of stage 2's annotation goes on, so that reading is not forgotten."""
    row = source.crop(rng)
    return InstructionSample(
        "annotate-attributes", annotate_prompt(), (row,), annotation_answer(source.pool.seen(row))
    )


def _retrieve(source, rng, task, keep, row=None) -> InstructionSample | None:
    row = source.crop(rng) if row is None else row
    found = source.matches(row, rng, 1 + int(rng.integers(2)), keep=keep)
    if not found:
        return None
    if rng.random() < NOBODY:
        found = []
    size = max(_size(rng), len(found))
    gallery, names = shuffled(found, source.others(row, rng, size - len(found)), rng, first=2)
    messages = paper_prompt(task, [1, size])
    return InstructionSample(
        task.replace("_", "-"), messages, (row, *gallery), " and ".join(names) or NONE_OF_THEM
    )


def _choose(source, rng, row, text, references, found) -> InstructionSample | None:
    if not found:
        return None
    size = _size(rng)
    if rng.random() < NOBODY:
        found = []
    prompt = best_choice_prompt(text, len(references), size)
    others = source.others(row, rng, size - len(found))
    gallery, names = shuffled(found, others, rng, first=len(references) + 1)
    kind = "image-plus-text" if text and references else "best-choice" if references else "attributes"
    return InstructionSample(
        kind, prompt.messages, (*references, *gallery), names[0] if names else NONE_OF_THEM
    )


def _size(rng: np.random.Generator) -> int:
    return int(rng.integers(GALLERY[0], GALLERY[1] + 1))


def _tell(source: Source, row: int, rng: np.random.Generator, most: int) -> str:
    return caption(fragment(source.pool.seen(row), rng, int(rng.integers(1, most + 1))), rng)


MIXTURE: dict[str, tuple[Task, float]] = {
    "standard": (standard, 0.11),
    "clothes-changing": (clothes_changing, 0.11),
    "visible-infrared": (visible_infrared, 0.11),
    "text-to-image": (text_to_image, 0.11),
    "attributes": (attributes, 0.12),
    "best-choice": (best_choice, 0.11),
    "image-plus-text": (image_plus_text, 0.13),
    "annotate-attributes": (annotate, 0.20),
}
