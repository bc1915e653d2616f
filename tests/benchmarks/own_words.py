"""How honest a checkpoint's own words are: `python -m tests.benchmarks.own_words [--model DIR] [--crops N]`.

Crops of the demo gallery are put to the checkpoint with the trained prompts: the caption, each alone, and the
comparison, each with the next. Printed is how many of the answers state anything that is worn, how many of the details
they state are true by the gallery's manifest, beside what the same checkpoint reads off the same crops, and the time.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

from PIL import Image

from app.model.pictures import Picture
from app.model.prompts import caption_prompt, compare_prompt
from app.model.reid_model import ReidModel
from app.model.vocabulary import Attribute
from app.settings import DEMO_GALLERY, DEMO_MODEL
from app.talk import MOST_WRITTEN
from training.evaluation.captions import stated_facts, true_facts


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--model", default=str(DEMO_MODEL))
    options.add_argument("--crops", type=int, default=200)
    given = options.parse_args()
    with (DEMO_GALLERY / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rows = rows[:: max(1, len(rows) // given.crops)][: given.crops]
    truths = [json.loads(row["visible"]) for row in rows]
    model = ReidModel.load(given.model)
    pictures = [_picture(row["path"]) for row in rows]
    for name, messages, groups in (
        ("captions", caption_prompt(), [[picture] for picture in pictures]),
        ("comparisons", compare_prompt(), [list(pair) for pair in pairwise(pictures)]),
    ):
        began = time.perf_counter()
        answers = [model.write(messages, group, limit=MOST_WRITTEN).text for group in groups]
        seconds = time.perf_counter() - began
        stated = [stated_facts(answer, model.kinds) for answer in answers]
        right = _right(stated, truths) if name == "captions" else ""
        print(
            f"{name:12} {len(answers):4} answers, {sum(map(bool, stated)):4} state what is worn{right}; "
            f"{1000 * seconds / len(answers):.0f} ms each; most said: {Counter(answers).most_common(3)}"
        )
    read = [[reading.attribute for reading in readings] for readings in model.annotate(pictures)]
    right = _right(read, truths)
    print(f"{'annotations':12} {len(read):4} answers, {sum(map(bool, read)):4} state what is worn{right}")


def _picture(path: str) -> Picture:
    return Picture(path, lambda: Image.open(DEMO_GALLERY / path).convert("RGB"))


def _right(stated: Sequence[Sequence[Attribute]], truths: Sequence[Mapping[str, str]]) -> str:
    """Of the details whose truth shows in the crop."""
    true, held = true_facts(stated, truths)
    return f", {true} of {held} details right ({true / held:.0%})" if held else ""


if __name__ == "__main__":
    main()
