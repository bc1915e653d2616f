"""A checkpoint's manifest: there and back, refused when unknown, never half-written."""

import dataclasses
import json
from dataclasses import replace

import pytest

from app.model.checkpoint import (
    FILE_NAME,
    AffinityWeights,
    Calibration,
    CheckpointManifest,
    ModelError,
    encoder_key,
)
from app.model.pictures import DEMO
from app.model.prompts import READ_PROMPT_VERSIONS
from app.model.reid_model import ReidModel
from app.model.vocabulary import KINDS
from tests.tiny_qwen import tiny_folder

CALIBRATION = Calibration(
    yes_logit=0.5,
    similarity=4,
    bias=-1,
    clip_similarity=5,
    clip_bias=-2,
    tau=0.1,
    threshold=0.3,
    text_weight=0.25,
    stated_share=1 / 12,
)


def manifest():
    return CheckpointManifest(
        name="demo",
        base_model="random",
        stages=({"name": "stage-1", "steps": 10}, {"name": "stage-2", "steps": 20}),
        image_rule=DEMO,
        calibrations={encoder_key("demo-clip", "abc"): {"image": CALIBRATION}},
        fusion_weights={encoder_key("demo-clip", "abc"): dict.fromkeys(KINDS, (30.0, 0.25))},
        affinity={
            encoder_key("demo-clip", "abc"): {
                "both": AffinityWeights(1.0, 20.0, -5.0),
                "model": AffinityWeights(0.0, 30.0, -4.0),
            }
        },
        data={"synthetic": {"world": 1, "people": 100}},
        figures={"rank-1": 0.9},
        knows="drawn people only",
        reads_free_words=False,
        attribute_sharpness={encoder_key("demo-clip", "abc"): 30.0},
        confusion={encoder_key("demo-clip", "abc"): {"upper": {"jacket": {"sweater": 0.12}}}},
    )


def test_there_and_back(tmp_path):
    assert CheckpointManifest.read(tmp_path) is None
    manifest().write(tmp_path)
    assert CheckpointManifest.read(tmp_path) == manifest()
    assert sorted(path.name for path in tmp_path.iterdir()) == [FILE_NAME]
    found = CheckpointManifest.read(tmp_path)
    assert found.calibration("demo-clip", "abc", "image") == CALIBRATION
    assert found.calibration("demo-clip", "abc", "text") is None
    assert found.calibration("demo-clip", "abd", "image") is None
    assert found.fusion_weights_for("demo-clip", "abc")["hat"] == (30.0, 0.25)
    assert found.fusion_weights_for("demo-clip", "abd") is None
    assert found.confusion_for("demo-clip", "abc")["upper"]["jacket"] == {"sweater": 0.12}
    assert found.confusion_for("demo-clip", "abd") is None
    assert found.affinity_for("demo-clip", "abc", "model") == AffinityWeights(0.0, 30.0, -4.0)
    assert found.affinity_for("demo-clip", "abd", "both") is None


def test_a_checkpoint_reads_free_words_unless_its_manifest_says_no(tmp_path):
    path = manifest().write(tmp_path)
    whole = json.loads(path.read_text())
    for made in (whole, in_schema_2(json.loads(path.read_text())), in_schema_1(json.loads(path.read_text()))):
        path.write_text(json.dumps(made))
        assert not CheckpointManifest.read(tmp_path).reads_free_words
        del made["reads_free_words"]
        path.write_text(json.dumps(made))
        assert CheckpointManifest.read(tmp_path).reads_free_words
    path.write_text(json.dumps({**whole, "reads_free_words": "no"}))
    with pytest.raises(ModelError, match="reads_free_words"):
        CheckpointManifest.read(tmp_path)


def test_a_checkpoint_talks_freely_only_where_its_manifest_says_so(tmp_path):
    path = replace(manifest(), talks_freely=True).write(tmp_path)
    assert CheckpointManifest.read(tmp_path).talks_freely
    told = json.loads(path.read_text())
    del told["talks_freely"]
    path.write_text(json.dumps(told))
    assert not CheckpointManifest.read(tmp_path).talks_freely


def in_schema_2(whole):
    """Today's JSON as it was written before an encoder had a sharpness of its own."""
    old = {key: value for key, value in whole.items() if key not in ("attribute_sharpness", "ranker")}
    for kinds in old["calibrations"].values():
        for values in kinds.values():
            del values["stated_share"]
    return {**old, "schema": 2}


def in_schema_1(whole):
    """Today's JSON as it was written before keys were renamed."""
    whole = in_schema_2(whole)
    old = {key: value for key, value in whole.items() if key not in ("fusion_weights", "affinity")}
    old["schema"] = 1
    for kinds in old["calibrations"].values():
        for values in kinds.values():
            for new, before in (
                ("yes_logit", "word"),
                ("attribute_score", "reading"),
                ("attribute_share", "attributes"),
            ):
                values[before] = values.pop(new)
    old["readers"] = whole["fusion_weights"]
    old["kin"] = whole["affinity"]
    for by_reader in old["kin"].values():
        for values in by_reader.values():
            values["alike"] = values.pop("attributes")
    return old


def test_a_manifest_of_schema_1_means_the_same(tmp_path):
    path = manifest().write(tmp_path)
    old = in_schema_1(json.loads(path.read_text()))
    path.write_text(json.dumps(old))
    assert CheckpointManifest.read(tmp_path) == manifest()
    for damage in ({"calibrations": [1]}, {"kin": {"a@b": 1}}, {"readers": 5}, {"fusion_weights": {}}):
        path.write_text(json.dumps({**old, **damage}))
        with pytest.raises(ModelError, match=FILE_NAME):
            CheckpointManifest.read(tmp_path)


def test_a_manifest_of_schema_2_means_the_same(tmp_path):
    path = manifest().write(tmp_path)
    old = in_schema_2(json.loads(path.read_text()))
    path.write_text(json.dumps(old))
    assert CheckpointManifest.read(tmp_path) == manifest()
    assert manifest().ranker == "fused" and manifest().sharpness_for("demo-clip", "abc") == 30
    assert manifest().sharpness_for("demo-clip", "abd") is None
    for damage in (
        {"calibrations": [1]},
        {"calibrations": {"a@b": 1}},
        {"calibrations": {"a@b": {"image": 1}}},
    ):
        path.write_text(json.dumps({**old, **damage}))
        with pytest.raises(ModelError, match=FILE_NAME):
            CheckpointManifest.read(tmp_path)


@pytest.mark.parametrize("group", ["calibrations", "kin"])
def test_a_manifest_of_schema_1_has_no_keys_of_today(tmp_path, group):
    path = manifest().write(tmp_path)
    old = in_schema_1(json.loads(path.read_text()))
    for values in next(iter(old[group].values())).values():
        values |= {"attribute_share": 0.5} if group == "calibrations" else {"attributes": 1.0}
    path.write_text(json.dumps(old))
    with pytest.raises(ModelError, match="unknown keys"):
        CheckpointManifest.read(tmp_path)


@pytest.mark.parametrize("key", ["schema", "prompt_version", "vocabulary_version"])
@pytest.mark.parametrize(
    ("value", "mend"), [(99, "update ChatReID"), (0, "train the checkpoint again"), ("x", "train")]
)
def test_an_unknown_version_is_refused_with_the_mend(tmp_path, key, value, mend):
    path = manifest().write(tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(ModelError, match=mend):
        CheckpointManifest.read(tmp_path)


@pytest.mark.parametrize("version", READ_PROMPT_VERSIONS)
def test_each_known_version_of_the_prompts_is_read_and_kept(tmp_path, version):
    path = manifest().write(tmp_path)
    assert json.loads(path.read_text())["prompt_version"] == 2
    path.write_text(json.dumps({**json.loads(path.read_text()), "prompt_version": version}))
    found = CheckpointManifest.read(tmp_path)
    found.write(tmp_path)  # as publishing and calibrating do
    assert CheckpointManifest.read(tmp_path).prompt_version == found.prompt_version == version


def test_damage_is_one_clear_error(tmp_path):
    path = manifest().write(tmp_path)
    whole = json.loads(path.read_text())
    broken = [
        "{",
        "[]",
        json.dumps({**whole, "surprise": 1}),
        json.dumps({key: value for key, value in whole.items() if key != "name"}),
        json.dumps({**whole, "image_rule": {"name": "odd", "fixed": [100, 50]}}),
        json.dumps(
            {**whole, "calibrations": {"a@b": {"smell": whole["calibrations"]["demo-clip@abc"]["image"]}}}
        ),
        json.dumps({**whole, "calibrations": {"a@b": {"image": {"yes_logit": 1}}}}),
        json.dumps({**whole, "calibrations": [1]}),
        json.dumps({**whole, "ranker": "oracle"}),
        json.dumps({**whole, "attribute_sharpness": {"a@b": 0.0}}),
    ]
    for text in broken:
        path.write_text(text)
        with pytest.raises(ModelError, match=FILE_NAME):
            CheckpointManifest.read(tmp_path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="cannot be read"):
        CheckpointManifest.read(tmp_path)


def test_a_failed_write_leaves_the_old_one(tmp_path):
    manifest().write(tmp_path)
    bad = dataclasses.replace(manifest(), figures={"rank-1": float("nan")})
    with pytest.raises(ValueError, match="JSON"):
        bad.write(tmp_path)
    assert CheckpointManifest.read(tmp_path) == manifest()
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_calibrations_refuse_nonsense():
    for change in ({"yes_logit": -1}, {"clip_similarity": -0.1}, {"threshold": 1.5}, {"text_weight": -1}):
        with pytest.raises(ValueError, match="calibration"):
            dataclasses.replace(CALIBRATION, **change)


def test_a_model_with_an_unknown_manifest_is_refused_before_its_weights_are_read(tmp_path):
    for file in tiny_folder().iterdir():
        (tmp_path / file.name).symlink_to(file)
    path = manifest().write(tmp_path)
    assert ReidModel.load(tmp_path).name == "demo"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 99}))
    with pytest.raises(ModelError, match="update ChatReID"):
        ReidModel.load(tmp_path)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"upper": {"jacket": {"sweater": 1.5}}}, "lies in 0..1"),
        ({"upper": {"jacket": {"sweater": -0.1}}}, "lies in 0..1"),
        ({"upper": {"jacket": {"cape": 0.1}}}, "no upper jacket or cape"),
        ({"upper": {"cape": {"jacket": 0.1}}}, "no upper cape or jacket"),
        ({"shoe size": {"9": {"10": 0.1}}}, "no shoe size"),
        ({"upper": {"jacket": 0.1}}, "confusion"),
    ],
)
def test_a_confusion_names_values_of_the_vocabulary(tmp_path, said, why):
    path = manifest().write(tmp_path)
    raw = json.loads(path.read_text())
    raw["confusion"] = {encoder_key("demo-clip", "abc"): said}
    path.write_text(json.dumps(raw))
    with pytest.raises(ModelError, match=why):
        CheckpointManifest.read(tmp_path)


def test_fusion_weights_name_every_kind_and_are_never_negative(tmp_path):
    path = manifest().write(tmp_path)
    key = encoder_key("demo-clip", "abc")
    for change in ({"hat": [1, -1]}, {"hat": [float("inf"), 1]}, {"shoe size": [1, 1]}):
        raw = json.loads(path.read_text())
        raw["fusion_weights"][key].update(change)
        (tmp_path / "bad").mkdir(exist_ok=True)
        (tmp_path / "bad" / FILE_NAME).write_text(json.dumps(raw))
        with pytest.raises(ModelError, match="not a manifest"):
            CheckpointManifest.read(tmp_path / "bad")
    del raw["fusion_weights"][key]["hat"]
    (tmp_path / "bad" / FILE_NAME).write_text(json.dumps(raw))
    with pytest.raises(ModelError, match="every kind of attribute"):
        CheckpointManifest.read(tmp_path / "bad")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"both": {"cosine": -1, "attributes": 1, "bias": 0}}, "0 or more"),
        ({"both": {"cosine": 1, "bias": 0}}, "attributes"),
        ({"nobody": {"cosine": 1, "attributes": 1, "bias": 0}}, "nobody"),
    ],
)
def test_affinity_is_by_both_readers_or_by_the_model_and_never_negative(tmp_path, change, says):
    path = manifest().write(tmp_path)
    raw = json.loads(path.read_text())
    raw["affinity"][encoder_key("demo-clip", "abc")] = change
    path.write_text(json.dumps(raw))
    with pytest.raises(ModelError, match=says):
        CheckpointManifest.read(tmp_path)
