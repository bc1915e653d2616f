"""The shipped demo models find people, load by the stock libraries, and fit together.

Drifting prompts, image rules, vocabulary or weights show here first.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from app.model.checkpoint import KINDS_OF_QUERY, CheckpointManifest
from app.model.digests import weight_files
from app.model.reid_model import ReidModel
from app.model.vocabulary import Attribute
from app.retrieval.attribute_probs import CONFUSED
from app.retrieval.engine import Engine
from app.retrieval.query import Query
from gallery_store.encoder import ClipEncoder
from tests.benchmarks import shipped_words
from tests.benchmarks.find_people import (
    ASSETS,
    found_people,
    manifest,
    open_demo,
)
from training.demo.gallery import demo_crops
from training.evaluation.synthetic_people import world_of

pytestmark = pytest.mark.slow
MB = 1 << 20
FEWER = 4  # of 50 people, for machines that round otherwise


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    store, encoder, rows = open_demo(tmp_path_factory.mktemp("demo"))
    yield Engine(store, encoder, ReidModel.load(ASSETS / "demo_qwen2vl")), rows
    store.close()


def test_assets_are_small_and_weights_are_safetensors():
    files = [file for file in ASSETS.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 40 * MB
    assert max(file.stat().st_size for file in files) < 15 * MB
    assert not [file for file in files if file.suffix in {".bin", ".pt", ".pth", ".pkl", ".ckpt"}]


def test_the_demo_gallery_is_of_people_whom_no_model_was_taught_on():
    world = world_of(CheckpointManifest.read(ASSETS / "demo_qwen2vl"))
    drawn, listed = demo_crops(world), manifest(ASSETS / "demo_gallery")
    assert len(listed) == len(drawn) >= 600
    assert len({row.person for row in listed}) >= 100
    assert len({row.camera for row in listed}) == 6
    assert [row.true for row in listed] == [crop.attributes for crop in drawn]
    assert sum(crop.modality == "infrared" for crop in drawn) > 0


def test_the_manifest_knows_the_shipped_encoder():
    encoder = ClipEncoder.load(ASSETS / "demo_clip")
    found = CheckpointManifest.read(ASSETS / "demo_qwen2vl")
    assert found is not None
    assert "drawn" in found.knows and not found.reads_free_words
    for kind in KINDS_OF_QUERY:
        assert found.calibration(encoder.name, encoder.version, kind) is not None


def test_the_manifest_names_the_shipped_weights_and_what_people_confuse():
    folder = ASSETS / "demo_qwen2vl"
    found = CheckpointManifest.read(folder)
    assert found.weights == weight_files(folder) != {}
    encoder = ClipEncoder.load(ASSETS / "demo_clip")
    confusion = found.confusion_for(encoder.name, encoder.version)
    assert set(confusion) <= set(CONFUSED) and "upper" in confusion
    shares = [share for values in confusion.values() for of in values.values() for share in of.values()]
    assert all(0 < share <= 1 for share in shares)


@pytest.mark.parametrize("words", ["asdkjh qwe zzz", "running", "une femme avec une veste rouge"])
def test_the_demo_gives_no_confidence_for_words_that_it_was_not_taught(demo, words):
    engine, _ = demo
    found = engine.search(Query(text=words))
    assert {candidate.probability for candidate in found.candidates} == {None} and not found.no_match
    known = engine.search(Query(wanted=(Attribute("upper_colour", "red"),), text=words))
    assert known.candidates[0].probability > 0.5 and known.unchecked == words


def test_the_stock_libraries_load_the_folders():
    import open_clip
    from transformers import AutoModelForImageTextToText, AutoProcessor

    clip, _, _ = open_clip.create_model_and_transforms(f"local-dir:{ASSETS / 'demo_clip'}")
    assert sum(p.numel() for p in clip.parameters()) > 100_000
    model = AutoModelForImageTextToText.from_pretrained(ASSETS / "demo_qwen2vl")
    assert type(model).__name__ == "Qwen2VLForConditionalGeneration"
    assert AutoProcessor.from_pretrained(ASSETS / "demo_qwen2vl").image_token


def test_people_are_found_by_words_and_by_a_click(demo):
    kept = json.loads(shipped_words.KEPT.read_text("utf-8"))["people"]
    found = found_people(*demo)
    assert found.keys() == kept.keys()
    assert all(found[how] >= count - FEWER for how, count in kept.items()), (found, kept)


def test_the_model_reads_colours(demo):
    engine, rows = demo
    from app.retrieval.query import Reference

    ids = [int(i) for i in np.random.default_rng(0).choice(sorted(rows), 40, replace=False)]
    right, said = 0, 0
    for image_id, read in zip(ids, engine.read([Reference(image_id=i) for i in ids]), strict=True):
        for reading in read:
            if reading.attribute.kind in ("upper_colour", "lower_colour"):
                truth = rows[image_id].visible.get(reading.attribute.kind)
                if truth:
                    said += 1
                    right += truth == reading.attribute.value
    assert said > 40
    assert right / said > 0.6


def test_no_picture_is_missing():
    folder = ASSETS / "demo_gallery"
    assert {Path(row.path).name for row in manifest(folder)} == {p.name for p in folder.glob("*.jpg")}
