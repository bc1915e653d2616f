"""The demo models by the clock, at toy size: every part has its turn, and whatever fails there is a result."""

import json
import shutil
import tarfile
import time
from concurrent.futures import wait
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoTokenizer

from app.model.checkpoint import KINDS_OF_QUERY, CheckpointManifest
from app.model.pictures import Picture
from app.model.prompts import READ_ALOUD
from app.model.reid_model import ReidModel
from app.model.vocabulary import KINDS_OF_VERSION, Attribute
from app.retrieval.query import Query, Reference
from app.settings import Settings
from app.startup import open_engine
from gallery_store.encoder import ClipEncoder
from gallery_store.importer import import_crops
from tests.tiny_pool import tiny_pool
from tests.tiny_qwen import noise_picture
from training.__main__ import main
from training.commands.demo import ASSETS
from training.demo import timed
from training.demo.base import build_base
from training.demo.drawing import CHUNK, PoolDrawing
from training.demo.fusion_fit import fit_demo
from training.demo.goals import best_choice, measure_goals
from training.demo.learning import LearningLog
from training.demo.pool import CLIP_SIZE, PoolSpec
from training.demo.recipe import CLIP_NAME, load, world_of_run
from training.demo.sizes import CPU_STEPS, GPU_STEPS, SIZES, DemoSize, StepSize
from training.demo.timed import TimedRun, timed_stages
from training.synthetic.render import encode

TINY = DemoSize((112, 56), 64, 2, 4, 2, 32, 2)
STEPS = StepSize(
    clip_families=2,
    families=2,
    lists=1,
    beside=1,
    plain=2,
    choices=4,
    choices_alone=4,
    forms=2,
    rate=1.0,
    validation=3,
    searches=4,
)


def run(folder, **options):
    given = {
        "size": TINY,
        "steps": STEPS,
        "device": "cpu",
        "seed": 0,
        "begins": time.monotonic(),
        "minutes": 0.01,
        "workers": 1,
        "results": folder / "results",
        "families": 6,
    }
    return TimedRun(folder / "work", folder / "assets", **{**given, **options})


def told(folder):
    return [json.loads(line) for line in (folder / "work" / "log.jsonl").read_text().splitlines()]


@pytest.fixture
def quick(monkeypatch):
    """Measuring and calibrating take longer than all else at this size."""
    maps = ("pairwise_mAP", "clip_mAP", "fused_mAP", "readers_mAP")
    fitted = {"text": dict.fromkeys((*maps, "absent_auroc", "absent_found", "false_alarms"), 0.5)}
    monkeypatch.setattr(timed, "fit_demo", lambda *given, **options: fitted)
    monkeypatch.setattr(timed, "measure_clip", lambda *given: {"image_mAP": 0.5})
    monkeypatch.setattr(timed, "measure_tower", lambda *given: {})


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    """A whole run in world 2, calibrated, with one step a part, that reads before it answers; and whose gallery was to
    be drawn."""
    folder = tmp_path_factory.mktemp("second")
    given = {
        "world": 2,
        "prompt": READ_ALOUD,
        "gallery": True,
        "steps": replace(STEPS, validation=4),
        "rehearse": False,
        "minutes": 4,
    }
    shares = {**dict.fromkeys(timed.SHARES, 1e-4), "export": 1 - 8e-4}
    drawn = []
    with (
        mock.patch.object(timed, "SHARES", shares),
        mock.patch("training.demo.recipe.write_gallery", lambda *asked: drawn.append(asked)),
    ):
        rows = run(folder, **given).run()
    assert drawn == [(folder / "assets" / "demo_gallery", 2)]
    return folder, rows


@pytest.mark.slow
def test_a_run_in_world_2_teaches_vocabulary_2_and_calibrates_it(second):
    folder, rows = second
    assert not [row for row in told(folder) if "failed" in row or "uncalibrated" in row]
    with tarfile.open(folder / "results" / "demo_qwen2vl.tar") as tar:
        tar.extractall(folder / "there", filter="data")
    manifest = CheckpointManifest.read(folder / "there" / "demo_qwen2vl")
    assert manifest == CheckpointManifest.read(folder / "assets" / "demo_qwen2vl")
    assert manifest.vocabulary_version == 2 and manifest.data["world"] == 2
    assert manifest.prompt_version == READ_ALOUD
    assert {pool["world"] for pool in manifest.data["pools"]} == {2}
    assert all(stage["steps"] >= 1 for stage in manifest.stages)
    ((key, fitted),) = manifest.calibrations.items()
    assert set(fitted) == set(KINDS_OF_QUERY) and key.startswith(CLIP_NAME)
    assert set(manifest.fusion_weights[key]) == set(KINDS_OF_VERSION[2])
    assert rows["image: what ships, mAP"] > 0
    assert 0 <= rows["text: absent people, AUROC"] <= 100 and 0 <= rows["captions: stated facts right"] <= 100
    assert rows["kinds read 20 points above the commonest value"].split()[1] == "of"
    for words in (
        load(folder / "there" / "demo_qwen2vl")[1].tokenizer,
        AutoTokenizer.from_pretrained(folder / "assets" / "demo_clip"),
    ):
        assert len(words("stroller camouflage sleeveless", add_special_tokens=False)["input_ids"]) == 3
    assert world_of_run(folder / "work", None, None) == 2
    with pytest.raises(ValueError, match="is of world 2, not of world 1"):
        world_of_run(folder / "work", None, 1)


@pytest.mark.slow
def test_the_app_serves_it_and_reads_vocabulary_2(second, tmp_path):
    folder, _ = second
    settings = Settings(
        data=str(tmp_path),
        gallery=str(tmp_path / "own.db"),
        model=str(folder / "assets" / "demo_qwen2vl"),
        clip=str(folder / "assets" / "demo_clip"),
        device="cpu",
        tau=-1.0,  # whoever knows nothing yet finds nothing similar
    )
    engine = open_engine(settings)
    crops = tmp_path / "crops"
    crops.mkdir()
    for number, drawn in enumerate(tiny_pool("validation", families=1, world=2).large):
        (crops / f"{number}.jpg").write_bytes(encode(Image.fromarray(drawn)))
    import_crops(engine.store, engine.encoder, crops)
    wanted = Attribute("pushing", "stroller"), Attribute("sleeves", "short")
    found = engine.search(Query(wanted=wanted))
    assert found.calibrated
    chances = [one.probability for one in found.candidates]
    assert chances and all(chance is not None and 0 <= chance <= 1 for chance in chances)
    assert engine.kinds == KINDS_OF_VERSION[2]
    (read,) = engine.read([Reference(image_id=found.candidates[0].image_id)])
    assert {"sleeves", "lower_length", "pushing"} <= {one.attribute.kind for one in read}
    engine.store.close()


@pytest.mark.slow
def test_without_time_the_searches_stay_uncalibrated_and_the_readers_are_weighed(second, tmp_path, capsys):
    folder, _ = second
    shutil.copytree(folder / "assets" / "demo_qwen2vl", tmp_path / "model")
    pool, log = tiny_pool("validation", families=2, world=2), LearningLog(tmp_path / "log.jsonl")
    figures = fit_demo(tmp_path / "model", folder / "assets" / "demo_clip", pool, log, ends=time.monotonic())
    manifest = CheckpointManifest.read(tmp_path / "model")
    assert set(figures) == {"gallery"} and not manifest.calibrations and manifest.fusion_weights
    assert "searches by text stay uncalibrated: there was no time left for them" in capsys.readouterr().err
    with pytest.raises(ValueError, match="does not know vocabulary 1"):
        fit_demo(tmp_path / "model", folder / "assets" / "demo_clip", tiny_pool(families=2), log)


@pytest.mark.slow
def test_a_run_makes_both_models_in_few_files(tmp_path, quick):
    rows = run(tmp_path).run()
    files = sorted(file.name for file in (tmp_path / "results").iterdir())
    assert files == ["demo_clip.tar", "demo_qwen2vl.tar", "goals.json", "log.jsonl"]
    assert not [row for row in told(tmp_path) if "failed" in row]
    for name in ("demo_clip", "demo_qwen2vl"):
        with tarfile.open(tmp_path / "results" / f"{name}.tar") as tar:
            tar.extractall(tmp_path / "there", filter="data")
    assert ClipEncoder.load(tmp_path / "there" / "demo_clip").encode_texts(["a man"]).shape == (1, 256)
    manifest = CheckpointManifest.read(tmp_path / "there" / "demo_qwen2vl")
    assert manifest.image_rule.fixed == TINY.picture
    assert [stage["name"] for stage in manifest.stages] == ["tower", "language", "stage1", "stage2", "stage3"]
    assert all(stage["steps"] >= 1 for stage in manifest.stages)
    model = ReidModel.load(tmp_path / "there" / "demo_qwen2vl")
    crop = Picture("one", lambda: noise_picture(1))
    assert np.isfinite(model.yes_logits("a man", [], [crop])).all()
    assert rows["text: the word alone, less CLIP alone, mAP"] == 0
    assert {row["stage"] for row in told(tmp_path)} >= {"clip", "0-tower", "stage0-language", "stage3"}
    assert run(tmp_path).run().keys() == rows.keys()  # done already: measured anew


@pytest.mark.slow
def test_what_fails_ends_its_own_part(tmp_path, quick, monkeypatch):
    monkeypatch.setattr(timed.TowerLesson, "loss", lambda self, drawn: 1 / 0)
    monkeypatch.setattr(timed, "fit_demo", lambda *given, **options: [][0])
    run(tmp_path, rehearse=False).run()
    assert {row["stage"] for row in told(tmp_path) if "failed" in row} == {"0-tower", "export"}
    with tarfile.open(tmp_path / "results" / "demo_qwen2vl.tar") as tar:
        tar.extractall(tmp_path, filter="data")
    manifest = CheckpointManifest.read(tmp_path / "demo_qwen2vl")
    assert "error" in manifest.stages[0] and not manifest.calibrations
    ReidModel.load(tmp_path / "demo_qwen2vl").warm_up()


@pytest.mark.slow
def test_the_rehearsal_tells_what_this_machine_cannot(tmp_path, monkeypatch):
    """A part that fails in bfloat16 is taught in float32, and one that does not fit in smaller steps."""
    begun = run(tmp_path, only=("clip", "tower", "stage3"))
    failures = {"clip": [ZeroDivisionError("no kernel")] * 3, "tower": [torch.OutOfMemoryError("too large")]}

    def failing(name, loss):
        def once(self, drawn):
            if failures[name]:
                raise failures[name].pop()
            return loss(self, drawn)

        return once

    monkeypatch.setattr(timed.ClipLesson, "loss", failing("clip", timed.ClipLesson.loss))
    monkeypatch.setattr(timed.TowerLesson, "loss", failing("tower", timed.TowerLesson.loss))
    begun._rehearse(tiny_pool("validation", families=3), time.monotonic() + 1000)
    assert begun.exact == {"clip"}
    assert begun.parts == {"clip": 1, "tower": 2, "stage3": 1}
    last = {row["stage"]: row for row in told(tmp_path)}
    assert not any(last[f"rehearsal of {name}"]["error"] for name in begun.only)


def test_people_go_on_being_drawn_while_clip_and_the_tower_learn(tmp_path, monkeypatch):
    monkeypatch.setattr(timed, "progress_bar", lambda *given: None)
    begun = run(tmp_path, grow=True, rehearse=False, families=8 * CHUNK, minutes=0.0)
    begun._pools()  # no time at all: what is there first
    first, seen = len(begun.drawn), begun._seen("large")
    assert begun.drawing is not None and len(seen) == first
    wait(begun.drawing._drawn)
    pool = begun._more()
    assert pool is begun.drawn and len(pool) == 8 * begun.drawing.each > timed.MORE * first
    assert begun._more() is None  # no more than before
    assert (seen(np.arange(len(pool))).numpy() == pool.large).all()
    for name in ("person", "clothes", "family"):
        assert (np.diff(getattr(pool, name)) >= 0).all()
    begun._end_drawing()
    assert begun.drawing is None and len(begun.drawn) == len(pool) and begun._seen("large") is seen


def test_a_pool_is_what_was_drawn_in_time(tmp_path):
    spec = PoolSpec(3, "train", families=4 * CHUNK, views=2, infrared_share=0.2)
    whole = PoolDrawing(tmp_path / "whole", spec, 2).finish(time.monotonic() + 1000)
    cut = PoolDrawing(tmp_path / "cut", spec, 1).finish(time.monotonic())
    assert whole.spec == spec and len(whole.pool) == 4 * CHUNK * 12
    assert 0 < cut.spec.families <= spec.families and len(cut.pool) == cut.spec.families * 12
    assert (cut.pool.large == whole.pool.large[: len(cut.pool)]).all()
    assert (cut.pool.visible == whole.pool.visible[: len(cut.pool)]).all()
    pool = whole.pool
    assert pool.large.shape[1:3] == CLIP_SIZE and pool.pictures is pool.large
    assert (pool.large.reshape(len(pool), -1).std(1) > 0).all()
    assert len(np.unique(pool.person)) == 3 * spec.families == pool.person.max() + 1
    assert len(np.unique(pool.clothes)) == 6 * spec.families == pool.clothes.max() + 1
    assert (np.diff(pool.family) >= 0).all() and pool.family.max() == spec.families - 1
    for name in ("person", "family"):
        assert (getattr(pool, name)[::4] == getattr(pool, name)[1::4]).all()


def test_two_sizes_of_picture_have_two_files(tmp_path):
    spec = PoolSpec(3, "train", families=CHUNK, views=1)
    pool = PoolDrawing(tmp_path, spec, 1, (112, 56)).finish(time.monotonic() + 1000).pool
    assert pool.pictures.shape[1:3] == (112, 56) and pool.large.shape[1:3] == CLIP_SIZE


def test_stage_3_teaches_best_choice_alone_first_and_as_long_as_run_time_shows():
    for steps in (CPU_STEPS, GPU_STEPS):
        stage = timed_stages(steps)["stage3"]
        assert stage.longest[0] == (0.0, 2) and stage.longest[-1][1] == 8
        assert all(begins < stage.alone for begins, _ in stage.longest)
        assert stage.choices_alone >= stage.choices >= 8 and stage.soft > 0
        assert set(stage.mixture.shares) >= {"caption", "compare-attributes", "image-many-to-many"}
    assert abs(sum(timed.SHARES.values()) - 1) < 1e-9


@pytest.mark.parametrize("version", KINDS_OF_VERSION)
def test_the_large_model_fits_into_its_file(version, tmp_path):
    base = build_base(tmp_path, version=version, **SIZES["large"].shape())
    assert (base / "model.safetensors").stat().st_size / 2 < 15e6  # saved in float32
    assert SIZES["large"].picture == CLIP_SIZE


def test_best_choice_is_measured_by_who_stands_where():
    class Knowing:
        """Names the right one of a list by the picture's key."""

        def choice_logits(self, text, own, lists):
            pool, (shown,) = tiny_pool(), lists
            person = pool.person[own[0].key[1]]
            return np.array([[float(pool.person[picture.key[1]] == person) for picture in shown]])

    class Stubborn:
        def choice_logits(self, text, own, lists):
            return np.eye(len(lists[0]))[3:4]

    right, places = best_choice(Knowing(), tiny_pool(), 40, words=False)
    assert right == 1 and places.max() < 0.4 and places.sum() == pytest.approx(1)
    right, places = best_choice(Stubborn(), tiny_pool(), 40, words=True)
    assert right < 0.5 and places[3] == 1
    assert measure_goals.__doc__


def test_a_run_by_the_clock_says_what_it_needs(tmp_path, capsys):
    work = ["--work", str(tmp_path)]
    assert main(["demo", "--minutes", "0", *work]) == 2
    assert main(["demo", "--minutes", "1", "--device", "tpu", *work]) == 2
    assert "--device cpu does the same in small form" in capsys.readouterr().err
    assert main(["demo", "--device", "cuda", *work]) == 2
    world = world_of_run(tmp_path, ASSETS, None)
    assert main(["demo", "--minutes", "1", "--world", str(3 - world), "--start", str(ASSETS), *work]) == 2
    assert f"is of world {world}, not of world {3 - world}" in capsys.readouterr().err
    assert main(["demo", "--size", "huge", *work]) == 2
    assert "small, large" in capsys.readouterr().err
