"""Samples as rows of other trainers' chat format: {"task", "messages", "images"}, one JSON object a line.

LLaMA-Factory (format "sharegpt" with role/content tags) and ms-swift read them: a message's content is plain
text in which each "<image>" stands for the next of `images`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.model.prompts import Message
from gallery_store.console import Progress
from gallery_store.files import replacing
from training.instructions.sample import InstructionSample
from training.instructions.stage_samples import Samples

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


def write_rows(samples: Samples, indices: Sequence[int], file: Path, progress: Progress | None = None) -> int:
    """Writes the rows of these indices and returns how many; a file of that name is replaced when all is there.

    progress: told after each row how many there are, and of how many.

    Pictures that are files are named where they lie, by absolute path; drawn ones go to FILE.images/.
    """
    folder = file.with_name(file.name + ".images")
    paths: dict[int, str] = {}  # by row of the records
    with replacing(file) as partial, partial.open("w", encoding="utf-8") as out:
        for count, index in enumerate(indices, 1):
            sample = samples.sample(index)
            for number in sample.pictures:
                if number not in paths:
                    paths[number] = _path(samples, number, folder)
            images = [paths[number] for number in sample.pictures]
            out.write(json.dumps(row(sample, images), ensure_ascii=False) + "\n")
            if progress is not None:
                progress(count, len(indices))
    return len(indices)


def _path(samples: Samples, number: int, folder: Path) -> str:
    image = samples.record(number).image
    if isinstance(image, Path):
        return str(image.absolute())
    file = folder / f"{number:07d}.png"
    with replacing(file) as partial:
        samples.picture(number).save(partial, "PNG")
    return str(file.absolute())
