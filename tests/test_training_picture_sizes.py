"""One crop has one size: in a training sample, by the published manifest, and when the app asks about it."""

from collections import defaultdict
from dataclasses import replace

import pytest

from app.model.checkpoint import CheckpointManifest
from app.model.pictures import DEMO, RUN_TIME, STAGE_1, STAGE_2, STAGE_3, ImageRule, Picture
from app.model.reid_model import ReidModel
from app.model.vision import PATCH
from tests.tiny_qwen import noise_picture, tiny_folder, with_rule
from tests.tuning import DATA, PIXELS
from training.__main__ import main
from training.instructions.stage_samples import Samples
from training.tuning.collator import Collator
from training.tuning.origin import kept_rule

SIZES = [(128, 64), (246, 90), (2000, 1000), (40, 20)]  # as they are taken


def crop(row):
    """A crop of one of the sizes; few are large, since those take long."""
    return noise_picture(row, *SIZES[(0, 1, 3, 0, 1, 3, 0, 2)[row % 8]])


@pytest.fixture
def taught(monkeypatch):
    """size as taken -> grids that training showed it in; filled while a run goes on."""
    seen = defaultdict(set)
    before = Collator.batch

    def batch(self, tokenized, pictures, weights):
        made = before(self, tokenized, pictures, weights)
        taken = [(image.height, image.width) for images in pictures for image in images]
        for size, grid in zip(taken, made.grids.tolist(), strict=True):
            seen[size].add(tuple(grid))
        return made

    monkeypatch.setattr(Collator, "batch", batch)
    monkeypatch.setattr(Samples, "picture", lambda self, row: crop(row))
    return seen


def train_and_publish(tmp_path, stage, *options, base=None):
    out, published = tmp_path / "out", tmp_path / "published"
    run = ["--stage", str(stage), "--base", str(base or tiny_folder()), "--data", DATA, "--device", "cpu"]
    run += ["--samples", "16", "--samples-per-step", "4", "--tokens-per-batch", "16384", "--out", str(out)]
    assert main(["train", *run, *options]) == 0
    assert main(["publish", "--from", str(out), "--out", str(published)]) == 0
    return ReidModel.load(published)


def grids_at_run_time(model):
    pictures = [Picture(size, lambda size=size: noise_picture(1, *size)) for size in SIZES]
    with model._ready() as loaded:
        return {size: {seen.grid} for size, seen in zip(SIZES, loaded.reader.see(pictures), strict=True)}


def grids_by_manifest(folder):
    rule = CheckpointManifest.read(folder).image_rule
    return {size: {(1, *(side // PATCH for side in rule.size(*size)))} for size in SIZES}


@pytest.mark.parametrize("max_pixels", [None, PIXELS])
@pytest.mark.parametrize(("stage", "rule"), [(1, STAGE_1), (2, STAGE_2), (3, STAGE_3)])
def test_a_crop_is_asked_about_at_the_size_at_which_it_was_taught(tmp_path, taught, stage, rule, max_pixels):
    bound = [] if max_pixels is None else ["--max-pixels", str(max_pixels)]
    model = train_and_publish(tmp_path, stage, *bound)
    assert set(taught) == set(SIZES)
    assert grids_at_run_time(model) == grids_by_manifest(tmp_path / "published") == taught
    assert model.rule == rule.within(max_pixels)
    assert f"as its last stage was: {model.rule}." in (tmp_path / "published" / "README.md").read_text()


@pytest.mark.parametrize(("options", "size"), [([], (168, 84)), (["--max-pixels", str(PIXELS)], (112, 56))])
def test_a_base_that_knows_one_size_keeps_it(tmp_path, taught, capsys, options, size):
    base = with_rule(tmp_path / "base", DEMO).manifest
    replace(base, reads_free_words=not options, talks_freely=not options).write(tmp_path / "base")
    model = train_and_publish(tmp_path, 2, *options, base=tmp_path / "base")
    grid = (1, size[0] // PATCH, size[1] // PATCH)
    assert grids_at_run_time(model) == taught == {size: {grid} for size in SIZES}
    assert model.rule.fixed == size
    # Drawn people teach no words beyond the vocabulary.
    assert model.manifest.reads_free_words == model.manifest.talks_freely == (not options)
    assert f"pictures: every picture at {size[0]} x {size[1]} px" in capsys.readouterr().out


def test_a_base_of_many_sizes_or_of_unknown_ones_leaves_the_stage_its_rule(tmp_path):
    assert kept_rule(None) is None
    assert kept_rule("nobody/at-home") is None
    assert kept_rule(str(tmp_path / "nowhere")) is None
    assert kept_rule(str(tiny_folder())) is None
    for name, rule, kept in (("demo", DEMO, DEMO), ("stage", STAGE_2, None), ("any", RUN_TIME, None)):
        with_rule(tmp_path / name, rule)
        assert kept_rule(str(tmp_path / name)) == kept


def test_a_rule_within_fewer_pixels():
    assert STAGE_1.within(None) is STAGE_1
    assert STAGE_3.within(10**9) == STAGE_3
    assert DEMO.within(168 * 84) == ImageRule("demo", fixed=(168, 84), max_pixels=168 * 84)
    assert RUN_TIME.within(PIXELS).fixed == (84, 56)
    assert str(STAGE_1) == "under 256 x 128 px brought to that, at most 1,280 tokens each"
    assert str(STAGE_2) == "over 384 x 192 px brought to that, at most 1,280 tokens each"
    assert str(STAGE_3.within(PIXELS)) == "as they are, at most 8 tokens each"
