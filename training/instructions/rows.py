"""Samples as rows of other trainers' chat format: {"task", "messages", "images"}, one JSON object a line.

LLaMA-Factory (format "sharegpt" with role/content tags) and ms-swift read them: a message's content is plain
text in which each "<image>" stands for the next of `images`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from app.model.prompts import Message
from training.instructions.sample import InstructionSample
from training.instructions.stream import Samples

_TAG = re.compile(r"<(image|video|audio)>")


def row(sample: InstructionSample, images: list[str]) -> dict[str, Any]:
    """One sample; images: a path for each of its pictures."""
    messages = [{"role": message["role"], "content": flat(message)} for message in sample.messages]
    messages.append({"role": "assistant", "content": _TAG.sub(r"\1", sample.answer)})
    return {"task": sample.task, "messages": messages, "images": images}


def flat(message: Message) -> str:
    """A message's content as text with "<image>" for each picture. Such tags in a text itself are undone."""
    return "".join(
        "<image>" if part["type"] == "image" else _TAG.sub(r"\1", part["text"]) for part in message["content"]
    )


def write_rows(
    samples: Samples, indices: Iterable[int], file: Path, progress: Callable[[int], None] | None = None
) -> int:
    """Writes the rows of these indices and returns how many; a file of that name is replaced when all is there.

    progress: told after each row how many there are.

    Pictures that are files are named where they lie, by absolute path; drawn ones go to FILE.images/.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    pictures = file.with_name(file.name + ".images")
    partial = file.with_name(file.name + ".partial")
    places: dict[int, str] = {}
    count = 0
    with partial.open("w", encoding="utf-8") as out:
        for index in indices:
            sample = samples.sample(index)
            for number in sample.pictures:
                if number not in places:
                    places[number] = _place(samples, number, pictures)
            images = [places[number] for number in sample.pictures]
            out.write(json.dumps(row(sample, images), ensure_ascii=False) + "\n")
            count += 1
            if progress is not None:
                progress(count)
        out.flush()
        os.fsync(out.fileno())
    partial.replace(file)
    return count


def _place(samples: Samples, number: int, folder: Path) -> str:
    image = samples.record(number).image
    if isinstance(image, Path):
        return str(image.absolute())
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{number:07d}.png"
    partial = place.with_suffix(".partial")
    samples.picture(number).save(partial, "PNG")
    partial.replace(place)
    return str(place.absolute())
