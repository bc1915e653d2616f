"""Each task's question and answer, pinned word by word, on six hand-made people."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.instruction_truth import check, prompt_of
from training.datasets.record import DataSet, Record
from training.datasets.training_records import training_records
from training.instructions.mixtures import MIXTURES
from training.instructions.stage_samples import Samples
from training.instructions.tasks import TASKS

GOLDEN = Path(__file__).with_name("instructions_golden.json")
PEOPLE = (
    {"gender": "woman", "age": "young", "hair": "long", "hair_colour": "brown", "bag": "backpack"},
    {"gender": "man", "age": "elderly", "hair": "bald", "beard": "beard", "bag": "none"},
    {"gender": "woman", "age": "elderly", "hair": "bun", "hair_colour": "grey", "bag": "handbag"},
    {"gender": "man", "age": "young", "hair": "short", "hair_colour": "black", "bag": "suitcase"},
)
CLOTHES = (
    {"upper": "jacket", "upper_colour": "red", "lower": "jeans", "lower_colour": "blue"},
    {"upper": "coat", "upper_colour": "green", "lower": "trousers", "lower_colour": "black"},
)


def records(caption: bool = False):
    """Four people in two sets of clothes, by two cameras in daylight and one in infrared."""
    rows = []
    for person, who in enumerate(PEOPLE):
        for outfit, worn in enumerate(CLOTHES):
            for camera in range(3):
                seen = {**who, **worn}
                if infrared := camera == 2:
                    seen = {kind: value for kind, value in seen.items() if not kind.endswith("_colour")}
                name = f"{person}_{outfit}_{camera}.jpg"
                captions = (f"Caption of {name}, by somebody.",) if caption else ()
                attributes = {} if caption else seen
                rows.append(
                    Record(Path(name), str(person), str(camera), infrared, str(outfit), captions, attributes)
                )
    return training_records([DataSet("handmade", "standard", {"train": tuple(rows)})])


def made(task: str, count: int, caption: bool = False) -> list[dict[str, object]]:
    stage = next(mixture for mixture in MIXTURES.values() if task in mixture.shares)
    rules = replace(stage, shares={task: 1.0}, canonical=1.0, gallery=(2, 4))
    samples = Samples(rules, records(caption), 0, count)
    found = []
    for sample in samples:
        check(samples.stream.columns, sample, texts=not caption)
        pictures = [str(samples.record(row).image) for row in sample.pictures]
        found.append({"question": prompt_of(sample), "pictures": pictures, "answer": sample.answer})
    return found


def everything():
    return {task: made(task, 3) for task in TASKS} | {
        f"{task}, captions by people": made(task, 2, caption=True)
        for task in ("caption", "text-one-to-one", "text-many-to-one", "text-to-image", "image-plus-text")
    }


@pytest.mark.parametrize("name", json.loads(GOLDEN.read_text("utf-8")) if GOLDEN.is_file() else [""])
def test_questions_and_answers_word_by_word(name):
    golden = json.loads(GOLDEN.read_text("utf-8"))
    task, _, caption = name.partition(", ")
    assert made(task, len(golden[name]), bool(caption)) == golden[name]


def test_every_task_is_pinned():
    assert set(TASKS) <= set(json.loads(GOLDEN.read_text("utf-8")))


if __name__ == "__main__":  # writes the file anew, to be read before it is committed
    GOLDEN.write_text(json.dumps(everything(), indent=1, ensure_ascii=False) + "\n", "utf-8")
