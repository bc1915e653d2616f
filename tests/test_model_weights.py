"""Weights under other names are renamed; weights that are missing, unknown, replaced or not finite are refused."""

import json
import os
import re
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from app.model.checkpoint import CheckpointManifest, ModelError
from app.model.loading import load_weights
from app.model.reid_model import ReidModel
from app.model.weights import ADAPTER, todays_name
from gallery_store.encoder import ClipEncoder, EncoderError
from tests.clip_folder import make_clip_folder
from tests.tiny_qwen import build_tiny, picture, tiny_folder
from training.__main__ import main
from training.stages import STAGES
from training.tuning.export import publish
from training.tuning.failures import TuningError
from training.tuning.origin import Origin, load_start

WEIGHTS = "model.safetensors"


def words(spec) -> np.ndarray:
    return ReidModel.load(spec).yes_logits("a man", [], [picture(1), picture(2)])


@pytest.fixture(scope="module")
def plain() -> np.ndarray:
    return words(tiny_folder())


def saved(folder, change):
    """The toy checkpoint with its weights as `change` returns them."""
    shutil.copytree(tiny_folder(), folder)
    state = {name: value.contiguous() for name, value in change(load_file(folder / WEIGHTS)).items()}
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
    return folder


def middle_name(name: str) -> str:
    return name if name.startswith("visual.") else re.sub(r"^model\.", "language_model.model.", name)


NAMES = {
    "DataParallel": lambda name: "module." + name,
    "torch.compile": lambda name: "_orig_mod." + name,
    "PEFT": lambda name: "base_model.model." + name,
    "PEFT in DataParallel": lambda name: "module.base_model.model." + name,
    "before 4.52": lambda name: name,
    "since 4.52": todays_name,
    "since 4.52, DataParallel": lambda name: "module." + todays_name(name),
    "language_model outside": middle_name,
}


@pytest.mark.parametrize("renamed", NAMES.values(), ids=NAMES)
def test_weights_under_other_names_are_the_same_weights(renamed, tmp_path, plain):
    folder = saved(tmp_path / "c", lambda state: {renamed(name): value for name, value in state.items()})
    np.testing.assert_allclose(
        words(folder), plain, rtol=1e-5
    )  # batches are sized by measured time, and round so


def test_renamed_weights_are_published_under_the_published_names(tmp_path, plain):
    folder = saved(tmp_path / "c", lambda state: {"module." + name: value for name, value in state.items()})
    CheckpointManifest("c", "tiny").write(folder)
    out = publish(folder, tmp_path / "out", dtype="float32")
    assert set(load_file(out / WEIGHTS)) == set(load_file(tiny_folder() / WEIGHTS))
    np.testing.assert_allclose(words(out), plain, rtol=1e-5)


BROKEN = {
    "a lost layer": (
        lambda state: {name: value for name, value in state.items() if ".layers.1." not in name},
        r"12 of its weights are missing, such as model\.language_model\.layers\.1\.",
    ),
    "a lost layer of the tower": (
        lambda state: {name: value for name, value in state.items() if ".blocks.0." not in name},
        r"weights are missing, such as model\.visual\.blocks\.0\.",
    ),
    "one lost weight": (
        lambda state: {name: value for name, value in state.items() if name != "model.norm.weight"},
        r"1 of its weights is missing, such as model\.language_model\.norm\.weight",
    ),
    "another prefix": (
        lambda state: {"student." + name: value for name, value in state.items()},
        "belong to no layer of it, such as student",
    ),
    "a layer too many": (
        lambda state: (
            state
            | {
                name.replace(".1.", ".7."): value.clone()
                for name, value in state.items()
                if ".layers.1." in name
            }
        ),
        "12 belong to no layer of it",
    ),
    "an adapter inside": (
        lambda state: {**state, "model.layers.0.self_attn.q_proj.lora_A.weight": torch.zeros(4, 64)},
        "merge it",
    ),
}


@pytest.mark.parametrize(("change", "says"), BROKEN.values(), ids=BROKEN)
def test_weights_that_are_not_the_model_s_are_refused_everywhere(change, says, tmp_path):
    folder = saved(tmp_path / "c", change)
    with pytest.raises(ModelError, match=says) as refused:
        ReidModel.load(folder).warm_up()
    assert str(folder) in str(refused.value) and "\n" not in str(refused.value)
    for lora in (None, 4):
        with pytest.raises(ModelError, match=says):  # training
            load_start(STAGES[1], Origin(str(folder), lora=lora), tmp_path / "w", dtype=torch.float32, seed=0)
    with pytest.raises(ModelError, match=says):  # stage 2's fresh decoder
        load_start(
            STAGES[2], Origin(str(folder), str(tiny_folder())), tmp_path / "w", dtype=torch.float32, seed=0
        )
    CheckpointManifest("c", "tiny").write(folder)
    with pytest.raises(ModelError, match=says):
        publish(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_untied_head_without_its_rows_is_refused(tmp_path):
    folder = saved(tmp_path / "c", lambda state: state)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}))
    with pytest.raises(ModelError, match=r"missing, such as lm_head\.weight"):
        load_weights(folder, torch.float32)


def test_weights_of_another_shape_are_refused(tmp_path):
    folder = saved(tmp_path / "c", lambda s: {**s, "model.norm.weight": torch.ones(65)})
    with pytest.raises(ModelError, match="c cannot be loaded"):
        load_weights(folder, torch.float32)


# Adapters.


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    from peft import LoraConfig, get_peft_model

    folder = tmp_path_factory.mktemp("lora") / "a"
    torch.manual_seed(0)
    targets = r".*\.(q_proj|v_proj|qkv)"
    tuned = get_peft_model(
        load_weights(tiny_folder(), torch.float32),
        LoraConfig(r=4, target_modules=targets, init_lora_weights=False),
    )
    tuned.save_pretrained(folder)
    return folder


def saved_adapter(adapter, folder, change, **config):
    shutil.copytree(adapter, folder)
    save_file(change(load_file(adapter / ADAPTER)), folder / ADAPTER, metadata={"format": "pt"})
    said = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**said, **config}))
    return folder


def older_name(name: str) -> str:
    return name.replace("model.language_model.", "model.").replace("model.model.visual.", "model.visual.")


OLD_TARGETS = {
    "ends of names": ["q_proj", "v_proj", "qkv"],
    "a pattern of older names": r"model\.layers\.\d+\.self_attn\.(q_proj|v_proj)|visual\.blocks\.\d+\.attn\.qkv",
    "whole older names": [
        *(f"model.layers.{n}.self_attn.{end}" for n in range(2) for end in ("q_proj", "v_proj")),
        *(f"visual.blocks.{n}.attn.qkv" for n in range(2)),
    ],
}


@pytest.mark.parametrize("targets", OLD_TARGETS.values(), ids=OLD_TARGETS)
@pytest.mark.parametrize("four_bit", [False, True])
def test_model_lora_old_names(adapter, tmp_path, plain, targets, four_bit):
    folder = saved_adapter(
        adapter,
        tmp_path / "old",
        lambda state: {older_name(name): value for name, value in state.items()},
        target_modules=targets,
    )
    assert all(".language_model." not in name for name in load_file(folder / ADAPTER))

    def said(spec) -> np.ndarray:
        return ReidModel.load(spec, four_bit=four_bit).yes_logits("a man", [], [picture(1)])

    np.testing.assert_allclose(said(folder), said(adapter), rtol=1e-5)
    assert abs(said(folder) - said(tiny_folder())).max() > 1e-3


@pytest.mark.parametrize(
    "renamed",
    [
        lambda name: "module." + name,
        lambda name: name.removeprefix("base_model.model."),
        lambda name: name.replace(".weight", ".default.weight"),
    ],
    ids=["DataParallel", "no prefix", "a bare state_dict"],
)
def test_an_adapter_under_other_names_is_the_same(adapter, tmp_path, renamed):
    folder = saved_adapter(adapter, tmp_path / "a", lambda state: {renamed(k): v for k, v in state.items()})
    np.testing.assert_allclose(words(folder), words(adapter), rtol=1e-5)


def test_training_goes_on_with_an_older_adapter(adapter, tmp_path):
    folder = saved_adapter(
        adapter, tmp_path / "a", lambda state: {older_name(k): v for k, v in state.items()}
    )
    origin = Origin(None, str(folder), lora=4)
    loaded = load_start(STAGES[3], origin, tmp_path / "w", dtype=torch.float32, seed=0)
    state = loaded.model.state_dict()
    for name, value in load_file(adapter / ADAPTER).items():
        assert torch.equal(state[name.replace(".weight", ".default.weight")], value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: {k: v for k, v in s.items() if ".layers.1." not in k}, "4 of its weights are missing"),
        (lambda s: {k: v for k, v in s.items() if "lora_B" not in k}, "6 of its weights are missing"),
        (
            lambda s: {**s, "base_model.model.model.language_model.layers.9.q.lora_A.weight": torch.ones(1)},
            "1 belongs to no layer of it",
        ),
        (
            lambda s: {k.replace("layers", "blobs"): v for k, v in s.items()},
            "weights are missing.*belong to no layer",
        ),
    ],
)
def test_an_adapter_that_is_not_the_model_s_is_refused(adapter, tmp_path, change, says):
    folder = saved_adapter(adapter, tmp_path / "a", change)
    with pytest.raises(ModelError, match=says):
        words(folder)
    with pytest.raises(ModelError, match=says):
        load_start(STAGES[3], Origin(None, str(folder), lora=4), tmp_path / "w", dtype=torch.float32, seed=0)
    CheckpointManifest("a", "tiny").write(folder)
    with pytest.raises(ModelError, match=says):
        publish(folder, tmp_path / "out")


# Numbers that are not finite.


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(tmp_path, bad, adapter):
    def spoilt(state):
        return {**state, "model.norm.weight": torch.full_like(state["model.norm.weight"], bad)}

    folder = saved(tmp_path / "c", spoilt)
    says = r"weights that are not finite numbers \(1, such as model\.language_model\.norm\.weight\)"
    with pytest.raises(ModelError, match=says):
        ReidModel.load(folder).warm_up()
    with pytest.raises(ModelError, match=says):
        load_start(STAGES[1], Origin(str(folder)), tmp_path / "w", dtype=torch.float32, seed=0)
    lora = saved_adapter(adapter, tmp_path / "a", lambda s: {k: v * bad for k, v in s.items()})
    with pytest.raises(ModelError, match="not finite numbers"):
        words(lora)
    with pytest.raises(ModelError, match="not finite numbers"):
        load_start(STAGES[3], Origin(None, str(lora), lora=4), tmp_path / "w", dtype=torch.float32, seed=0)


def test_finite_weights_whose_answers_are_not_are_refused_at_the_start(tmp_path):
    folder = saved(tmp_path / "c", lambda s: {k: v * 1e30 if v.ndim > 1 else v for k, v in s.items()})
    with pytest.raises(ModelError, match="c answers with numbers that are not finite"):
        ReidModel.load(folder).warm_up()


def test_clip_weights_are_whole_and_finite(tmp_path):
    folder = make_clip_folder(tmp_path / "clip")
    file = folder / "open_clip_model.safetensors"
    state = load_file(file)
    bare = ClipEncoder.load(folder).encode_texts(["a man"])
    save_file({"module." + name: value for name, value in state.items()}, file)
    np.testing.assert_array_equal(ClipEncoder.load(folder).encode_texts(["a man"]), bare)
    gone = sorted(state)[0]
    save_file({name: value for name, value in state.items() if name != gone}, file)
    with pytest.raises(EncoderError, match=re.escape(gone)) as refused:
        ClipEncoder.load(folder)
    assert "\n" not in str(refused.value)
    save_file({**state, gone: torch.full_like(state[gone], float("nan"))}, file)
    with pytest.raises(EncoderError, match=rf"not finite numbers \(1, such as {re.escape(gone)}\)"):
        ClipEncoder.load(folder)


# Digests.


@pytest.fixture
def named(tmp_path):
    """A checkpoint whose manifest names its weights."""
    folder = build_tiny(tmp_path / "named")
    CheckpointManifest("named", "tiny").write(folder)
    assert main(["digest", str(folder)]) == 0
    return folder


def test_digests_stand_in_the_manifest_and_hold(named):
    manifest = CheckpointManifest.read(named)
    assert manifest is not None
    (file,) = manifest.weights.values()
    assert (set(manifest.weights), file.bytes) == ({WEIGHTS}, (named / WEIGHTS).stat().st_size)
    assert np.isfinite(words(named)).all()


def flipped(path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


SPOILT = {
    "one bit": (lambda file: flipped(file, -1), "is not the file that chatreid.json names"),
    "cut short": (lambda file: file.write_bytes(file.read_bytes()[:-4]), r"has [\d,]+ bytes"),
    "gone": (lambda file: os.rename(file, file.with_name("model-1.safetensors")), "is not among the weights"),
    "one more": (
        lambda file: shutil.copy(file, file.with_name("zz.safetensors")),
        "is not among the weights",
    ),
}


@pytest.mark.parametrize(("spoil", "says"), SPOILT.values(), ids=SPOILT)
def test_other_files_than_the_manifest_names_are_refused(named, tmp_path, spoil, says):
    words(named)  # a first load that was right does not vouch for the next
    spoil(named / WEIGHTS)
    with pytest.raises(ModelError, match=says):
        ReidModel.load(named).warm_up()
    with pytest.raises(ModelError, match=says):
        load_start(STAGES[1], Origin(str(named)), tmp_path / "w", dtype=torch.float32, seed=0)
    with pytest.raises(ModelError, match=says):
        publish(named, tmp_path / "out")


def test_weights_changed_by_their_owner_are_named_anew(named):
    flipped(named / WEIGHTS, -1)
    assert main(["digest", str(named)]) == 0
    assert np.isfinite(words(named)).all()


def test_a_manifest_without_digests_loads(tmp_path):
    folder = build_tiny(tmp_path / "plain")
    CheckpointManifest("plain", "tiny").write(folder)
    raw = json.loads((folder / "chatreid.json").read_text())
    del raw["weights"]
    (folder / "chatreid.json").write_text(json.dumps({**raw, "schema": 3}))  # as version 3 wrote it
    flipped(folder / WEIGHTS, -1)
    assert np.isfinite(words(folder)).all()


def test_publish_names_the_weights_it_wrote(named, tmp_path):
    out = publish(named, tmp_path / "out", dtype="float32")
    before, after = CheckpointManifest.read(named), CheckpointManifest.read(out)
    assert before is not None and after is not None
    assert set(after.weights) == {WEIGHTS}
    flipped(out / WEIGHTS, -1)
    with pytest.raises(ModelError, match="damaged or replaced"):
        words(out)


def test_digest_of_what_is_no_checkpoint_says_why(tmp_path, capsys):
    assert main(["digest", str(tmp_path)]) == 1
    assert "has no chatreid.json" in capsys.readouterr().err
    CheckpointManifest("x", "y").write(tmp_path)
    assert main(["digest", str(tmp_path)]) == 1
    assert "has no .safetensors weights" in capsys.readouterr().err


def test_publish_needs_a_manifest(tmp_path):
    with pytest.raises(TuningError, match="no chatreid"):
        publish(tiny_folder(), tmp_path / "out")
