"""Every task of every stage from each of the ten benchmarks, as far as its annotations allow."""

import pytest

from tests.instruction_truth import check
from tests.miniatures import NAMES, write_miniature
from training.datasets.load import load, load_many
from training.datasets.training_records import training_records
from training.instructions.mixtures import MIXTURES
from training.instructions.stage_samples import CannotBeMade, Samples

PAIRS = {"image-one-to-one", "image-many-to-many", "standard", "best-choice", "pair-question"}
TEXTS = {"caption", "text-one-to-one", "text-many-to-one", "text-one-to-many", "text-to-image"}
BOTH = {"image-plus-text", "text-plus-match"}
# Nobody has annotated attributes in the published layouts.
ALLOWED = {
    **dict.fromkeys(("market1501", "msmt17", "cuhk03"), PAIRS),
    **dict.fromkeys(("ltcc", "prcc"), PAIRS | {"clothes-changing"}),
    **dict.fromkeys(("sysu-mm01", "regdb"), PAIRS | {"visible-infrared"}),
    **dict.fromkeys(("cuhk-pedes", "icfg-pedes", "rstpreid"), PAIRS | TEXTS | BOTH),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmarks")
    for name in NAMES:
        write_miniature(name, folder)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_gives_every_task_that_its_annotations_allow(root, name):
    records, allowed = training_records([load(name, root)]), ALLOWED[name]
    for stage in MIXTURES.values():
        wanted = allowed & set(stage.shares)
        if not wanted:
            with pytest.raises(CannotBeMade, match="no captions and no attributes"):
                Samples(stage, records, 0, 10)
            continue
        samples = Samples(stage, records, 0, 150)
        assert set(samples.plan.shares) == wanted
        made = list(samples)
        for sample in made:
            check(samples.stream.columns, sample, texts=False)
        assert {sample.task for sample in made} == wanted
        assert samples.picture(made[0].pictures[0]).mode == "RGB"


def test_all_ten_together_give_every_task_that_needs_no_attributes(root):
    records = training_records(load_many(NAMES, root))
    for number, stage in MIXTURES.items():
        samples = Samples(stage, records, 0, 300)
        made = list(samples)
        for sample in made:
            check(samples.stream.columns, sample, texts=False)
        lacking = {
            1: set(),
            2: {"compare-attributes", "annotate-attributes"},
            3: {"attributes"},
        }[number]
        assert set(stage.shares) - {sample.task for sample in made} == lacking
        report = "\n".join(samples.plan.report())
        assert all(f"{task} cannot be made" in report for task in lacking)
        if number == 3:
            assert "visible-infrared comes from sysu-mm01, regdb alone" in report


def test_no_sample_shows_a_picture_of_another_split(root):
    datasets = load_many(NAMES, root)
    held_out = {r.image for d in datasets for s, rows in d.splits.items() if s != "train" for r in rows}
    samples = Samples(MIXTURES[2], training_records(datasets), 0, 200)
    assert not held_out & {samples.record(row).image for sample in samples for row in sample.pictures}
