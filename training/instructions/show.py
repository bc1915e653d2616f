"""Samples on one page for a person to read: the question, its pictures, the answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gallery_store.decoding import PictureError
from gallery_store.files import write_file
from training.instructions.sample import InstructionSample
from training.instructions.stage_samples import Samples
from training.pages import filled, picture_url

HEIGHT = 200  # px of a picture on the page, at most; twice as many are kept for fine screens
_NAME = re.compile(r"Image \d+")
_NAME_BEFORE = re.compile(r"(Image \d+):\s*$")


@dataclass(frozen=True)
class PromptPart:
    """Words, or the name of the picture that the model gets in this place, "" where it has none."""

    text: str
    is_picture: bool = False


@dataclass(frozen=True)
class ShownPicture:
    """answered: whether the answer names it. facts: person, camera, ... url: "" where there is a problem."""

    name: str
    answered: bool
    facts: tuple[str, ...]
    url: str = ""
    problem: str = ""


@dataclass(frozen=True)
class SampleCard:
    """What the page shows of a sample."""

    index: int
    task: str
    data_set: str
    prompt: tuple[PromptPart, ...]
    pictures: tuple[ShownPicture, ...]
    answer: str


def write_page(samples: Samples, indices: Iterable[int], file: Path, title: str, lead: str) -> int:
    """Writes one HTML file that needs nothing beside it, and returns how many samples it shows."""
    cards = [_card(samples, index, samples.sample(index)) for index in indices]
    tasks = Counter(card.task for card in cards).most_common()
    notes = samples.plan.report()
    write_file(
        file,
        filled("instruction_samples.html", title=title, lead=lead, tasks=tasks, notes=notes, cards=cards),
    )
    return len(cards)


def _card(samples: Samples, index: int, sample: InstructionSample) -> SampleCard:
    prompt: list[PromptPart] = []
    pictures: list[ShownPicture] = []
    rows = iter(sample.pictures)
    answered = set(_NAME.findall(sample.answer))
    name = ""
    for message in sample.messages:
        for part in message["content"]:
            if part["type"] == "image":
                prompt.append(PromptPart(name, is_picture=True))
                pictures.append(_picture(samples, next(rows), name, name in answered))
                continue
            text, name = part["text"], ""
            if match := _NAME_BEFORE.search(text):  # stands at the picture instead
                text, name = text[: match.start()], match[1]
            prompt.append(PromptPart(text))
    data_set = samples.records.sets[sample.pictures[0]] if sample.pictures else ""
    return SampleCard(index, sample.task, data_set, tuple(prompt), tuple(pictures), sample.answer)


def _picture(samples: Samples, row: int, name: str, answered: bool) -> ShownPicture:
    record = samples.record(row)
    facts = [record.person.partition("/")[2] or record.person]
    facts += [f"camera {record.camera}"] if record.camera else []
    facts += [f"clothes {record.clothes}"] if record.clothes else []
    facts += ["infrared"] if record.infrared else []
    try:
        picture = samples.picture(row)
    except PictureError as problem:
        return ShownPicture(name, answered, tuple(facts), problem=f"{record.image}: {problem.reason}")
    most = (2 * HEIGHT, 2 * HEIGHT) if picture.width > picture.height else (HEIGHT, 2 * HEIGHT)
    return ShownPicture(name, answered, tuple(facts), picture_url(picture, most))
