"""A checkpoint of version 2 of the vocabulary: taught, read, calibrated and served; and one of version 1 as before."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.chat.conversation import Conversation, say, to_query
from app.model.answers import annotation_answer, entries_of, locate_annotation, parse_annotation
from app.model.checkpoint import FILE_NAME, CheckpointManifest, ModelError
from app.model.reid_model import ReidModel
from app.model.vocabulary import (
    ALL_KINDS,
    KINDS_OF_VERSION,
    NEWEST_VERSION,
    PHRASES_OF_VERSION,
    Attribute,
    attribute_words,
)
from app.retrieval.engine import Engine
from app.retrieval.query import Reference
from gallery_store.encoder import ClipEncoder
from gallery_store.importer import import_crops
from gallery_store.store import GalleryStore
from tests.chat_notation import GALLERY
from tests.clip_folder import make_clip_folder
from tests.gallery_tools import write_pictures
from tests.instruction_columns import made_up
from tests.tiny_qwen import build_tiny, picture
from training.__main__ import main
from training.demo.tokenizer import MAX_ENTRIES, build_tokenizer
from training.instructions.mixtures import STAGE2
from training.instructions.stage_samples import SampleMaker
from training.synthetic.market1501 import write_market1501

VALUES = sum(map(len, ALL_KINDS.values()))
people = st.fixed_dictionaries({}, optional={kind: st.sampled_from(v) for kind, v in ALL_KINDS.items()})


def test_a_version_keeps_what_the_one_before_it_has_in_its_place():
    assert list(KINDS_OF_VERSION) == [1, NEWEST_VERSION]
    for before, after in zip(KINDS_OF_VERSION[1].items(), ALL_KINDS.items(), strict=False):
        assert before[0] == after[0] and before[1] == after[1][: len(before[1])]


@pytest.mark.parametrize("version", KINDS_OF_VERSION)
def test_every_value_has_words_and_every_phrase_a_value(version: int):
    kinds, phrases = KINDS_OF_VERSION[version], PHRASES_OF_VERSION[version]
    assert all(a.value in kinds.get(a.kind, ()) for stated in phrases.values() for a in stated)
    named = {stated[0] for stated in phrases.values()}
    unnamed = {Attribute(kind, value) for kind, values in kinds.items() for value in values} - named
    # Colours, shades and lengths are bound to their things; that a thing is not there is said with "no".
    ends = ("_colour", "_shade", "_length")
    assert all(attribute.value == "none" or attribute.kind.endswith(ends) for attribute in unnamed)


@settings(max_examples=200)
@given(people)
def test_annotations_of_version_2_are_read_back(person: dict[str, str]):
    answer = annotation_answer(person, NEWEST_VERSION)
    gone = {f"{thing}_colour" for thing in ("hat", "bag") if person.get(thing) == "none"}
    read = {attribute.kind: attribute.value for attribute in parse_annotation(answer, NEWEST_VERSION)}
    assert read == {kind: value for kind, value in person.items() if kind not in gone}
    for attribute, start, end in locate_annotation(answer, NEWEST_VERSION):
        assert answer[start:end] == attribute.value


def test_an_annotation_of_version_1_says_what_it_knows():
    person = {"age": "child", "upper": "suit", "upper_colour": "red", "shoes": "heels", "scarf": "scarf"}
    told = annotation_answer(person)
    assert "age: young" in told and "upper: red;" in told and "shoes: shoes" in told and "scarf" not in told
    assert list(entries_of(1))[-1] == "umbrella"
    assert Attribute("shoes", "shoes") in parse_annotation("shoes: black heels")
    assert Attribute("shoes", "heels") in parse_annotation("shoes: black heels", NEWEST_VERSION)
    assert parse_annotation("upper: dark red sandals, a man with a scarf") == (
        Attribute("upper_colour", "red"),
    )


def test_a_mixture_teaches_the_version_that_it_names():
    columns = made_up(6, kinds=ALL_KINDS, unknown=0.0, infrared=0.0)
    for version, more in ((1, False), (NEWEST_VERSION, True)):
        mixture = replace(STAGE2, samples=20, shares={"annotate-attributes": 1.0}, vocabulary=version)
        maker = SampleMaker(mixture, columns, 0)
        answers = [maker.sample(index).answer for index in range(20)]
        assert all(("sleeves: " in answer) == more for answer in answers)
    with pytest.raises(ValueError, match="no version 9"):
        replace(STAGE2, vocabulary=9)


def test_the_tokenizer_of_version_2_has_a_token_a_word():
    tokenizer = build_tokenizer(version=NEWEST_VERSION)
    assert len(tokenizer) <= MAX_ENTRIES
    for word in sorted(attribute_words(NEWEST_VERSION)):
        assert len(tokenizer(word)["input_ids"]) == 1, word


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A random checkpoint of version 2, with a manifest."""
    folder = build_tiny(tmp_path_factory.mktemp("second") / "tiny", version=NEWEST_VERSION)
    CheckpointManifest(name="second", base_model="random", vocabulary_version=NEWEST_VERSION).write(folder)
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return make_clip_folder(tmp_path_factory.mktemp("clip") / "small")


def test_it_reads_every_kind(folder: Path):
    model = ReidModel.load(folder)
    rows = model.attribute_probs([picture(1), picture(2)])
    assert rows.shape == (2, VALUES) and np.isfinite(rows).all()
    np.testing.assert_allclose(rows.sum(1), len(ALL_KINDS), rtol=1e-5)
    assert all(read.attribute.kind in ALL_KINDS for read in model.annotate([picture(1)])[0])


def test_a_manifest_says_its_version_and_weighs_its_kinds(folder: Path, tmp_path: Path):
    manifest = CheckpointManifest.read(folder)
    assert manifest is not None and manifest.kinds is ALL_KINDS
    whole = dict.fromkeys(ALL_KINDS, (1.0, 1.0))
    assert replace(manifest, fusion_weights={"clip@1": whole}).fusion_weights
    with pytest.raises(ValueError, match="every kind"):
        replace(manifest, vocabulary_version=1, fusion_weights={"clip@1": whole})
    confusion = {"clip@1": {"hat": {"helmet": {"cap": 0.2}}}}
    assert replace(manifest, confusion=confusion)
    with pytest.raises(ValueError, match="no hat helmet"):
        replace(manifest, vocabulary_version=1, confusion=confusion)
    raw = json.loads((folder / FILE_NAME).read_text("utf-8")) | {"vocabulary_version": 3}
    (tmp_path / FILE_NAME).write_text(json.dumps(raw), "utf-8")
    with pytest.raises(
        ModelError, match=r"attribute vocabulary version 3, .* knows version 2; update ChatReID"
    ):
        CheckpointManifest.read(tmp_path)


def test_it_is_calibrated_and_serves(folder: Path, clip: Path, tmp_path: Path):
    write_market1501(tmp_path / "people", 42, seed=5)
    asked = ["--data", "market1501", "--root", str(tmp_path / "people"), "--queries", "12", "--device", "cpu"]
    assert main(["calibrate", "--model", str(folder), "--clip", str(clip), *asked]) == 0
    encoder, model = ClipEncoder.load(clip), ReidModel.load(folder)
    assert model.manifest is not None and model.manifest.vocabulary_version == NEWEST_VERSION
    key = f"{encoder.name}@{encoder.version}"
    fitted = model.manifest.calibrations[key]["image"]  # these people have no captions to be found by
    model.manifest = replace(
        model.manifest,
        calibrations={key: {"text": replace(fitted, attribute_score=0.5), "image": fitted}},
        fusion_weights={key: dict.fromkeys(ALL_KINDS, (1.0, 1.0))},
    )
    with GalleryStore.open(tmp_path / "gallery.db") as store:
        names = [f"{number}.png" for number in range(6)]
        import_crops(store, encoder, write_pictures(tmp_path / "crops", names))
        engine, by_clip = Engine(store, encoder, model), Engine(store, encoder, None)
        query = to_query(say(Conversation(), "a child in a red high-vis vest and sandals, no scarf", GALLERY))
        ranking = engine.search(query)
        assert len(ranking.candidates) == 6 and ranking.calibrated and not ranking.unchecked
        (read,) = engine.read([Reference(image_id=ranking.candidates[0].image_id)])
        assert {"sleeves", "scarf"} <= {one.attribute.kind for one in read} <= set(ALL_KINDS)
        assert by_clip.kinds == KINDS_OF_VERSION[1] and len(by_clip.search(query).candidates) == 6
