"""LoRA and QLoRA through the three stages: what of the adapter moves, what starts anew, what is frozen."""

import json
import math

import pytest
import torch

from app.model.checkpoint import CheckpointManifest, ModelError
from app.model.loading import find_checkpoint, load_weights
from app.model.reid_model import ReidModel
from tests.tiny_qwen import picture, tiny_folder
from tests.tuning import changed, other_base, parts, train, weights
from training.stages import STAGES
from training.tuning.origin import (
    Origin,
    adapters,
    counts,
    is_encoder,
    load_start,
    set_trained,
    with_lora,
)

OPTIONS = ("--samples", "12", "--learning-rate", "1e-2", "--lora", "4")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """`train --all --lora`; nothing here changes what it wrote."""
    out = tmp_path_factory.mktemp("lora") / "run"
    assert train(out, "--all", *OPTIONS) == 0
    return out


def start(stage, origin, folder):
    return load_start(STAGES[stage], origin, folder, dtype=torch.float32, seed=0)


def test_every_linear_layer_of_both_parts_has_an_adapter():
    model = with_lora(load_weights(tiny_folder(), torch.float32), 4, seed=0)
    names = [name.removeprefix("base_model.model.model.") for name, _ in adapters(model)]
    linear = {
        name.removeprefix("model.")
        for name, module in load_weights(tiny_folder(), torch.float32).named_modules()
        if isinstance(module, torch.nn.Linear) and name != "lm_head"
    }
    assert set(names) == linear
    assert {is_encoder(name) for name in names} == {True, False}
    assert "visual.merger.mlp.0" in names


def test_a_fresh_adapter_changes_nothing_and_only_it_is_trained():
    bare = load_weights(tiny_folder(), torch.float32)
    before = {name: value.clone() for name, value in bare.state_dict().items()}
    model = with_lora(load_weights(tiny_folder(), torch.float32), 4, seed=0)
    set_trained(model, STAGES[1], lora=True)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained and all("lora_" in name for name in trained)
    set_trained(model, STAGES[3], lora=True)
    later = {name for name, p in model.named_parameters() if p.requires_grad}
    assert later == {name for name in trained if not is_encoder(name)}
    assert counts(model)["encoder trained"] == 0
    merged = model.merge_and_unload().state_dict()
    assert not changed(before, merged)


def test_the_base_never_moves_and_stage_1_moves_both_parts(done, tmp_path):
    first = weights(done / "stage1")
    assert all("lora_" in name for name in first)
    encoder, decoder = parts(first)
    for part in (encoder, decoder):
        # B starts at nothing, so a B that is not zero has learnt.
        learnt = {name for name, value in part.items() if "lora_B" in name and bool(value.any())}
        assert learnt == {name for name in part if "lora_B" in name}
    assert json.loads((done / "stage3" / "adapter_config.json").read_text())[
        "base_model_name_or_path"
    ] == str(tiny_folder().resolve())


def test_stage_2_starts_with_stage_1s_encoder_and_the_bases_decoder(done, tmp_path):
    loaded = start(2, Origin(str(tiny_folder()), str(done / "stage1"), 4), tmp_path)
    merged = loaded.model.merge_and_unload().state_dict()
    base = load_weights(tiny_folder(), torch.float32).state_dict()
    first = load_weights(done / "stage1", torch.float32).state_dict()
    encoder, decoder = parts(merged)
    assert not changed(decoder, parts(base)[1])
    assert not changed(encoder, parts(first)[0])
    linear = {name for name in encoder if name.endswith(("qkv.weight", "fc1.weight", "mlp.0.weight"))}
    assert linear and linear <= changed(encoder, parts(base)[0])
    assert {name for name in decoder if "_proj.weight" in name} <= changed(decoder, parts(first)[1])


def test_stage_3_leaves_the_encoders_adapter_where_stage_2_left_it(done):
    second, third = weights(done / "stage2"), weights(done / "stage3")
    assert not changed(parts(second)[0], parts(third)[0])
    assert {n for n in parts(third)[1] if "lora_B" in n} <= changed(parts(second)[1], parts(third)[1])
    assert changed(parts(weights(done / "stage1"))[0], parts(second)[0])


def test_the_app_opens_the_adapter(done):
    model = ReidModel.load(done / "stage3")
    assert model.manifest.stages[-1]["tuning"] == "LoRA"
    (word,) = model.yes_logits("a man", [], [picture(1)])
    assert math.isfinite(word)


def test_four_bit_goes_through_all_stages_and_leaves_the_encoder_whole(tmp_path):
    pytest.importorskip("bitsandbytes")
    import bitsandbytes as bnb

    out = tmp_path / "run"
    assert train(out, "--all", "--samples", "4", "--lora", "4", "--four-bit") == 0
    manifest = CheckpointManifest.read(out / "stage3")
    assert {stage["tuning"] for stage in manifest.stages} == {"QLoRA"}
    origin = Origin(str(tiny_folder()), str(out / "stage2"), 4, four_bit=True)
    model = start(3, origin, tmp_path).model
    quantized = [name for name, module in model.named_modules() if isinstance(module, bnb.nn.Linear4bit)]
    assert quantized and not any(is_encoder(name) or "lm_head" in name for name in quantized)
    assert counts(model)["decoder frozen"] > 100_000  # two weights a byte, counted as two


def test_an_adapter_on_whole_weights_of_stage_1_brings_its_base_along(tmp_path):
    full = tmp_path / "full"
    assert train(full, "--stage", "1", "--samples", "4", "--learning-rate", "1e-3") == 0
    base = other_base(tmp_path / "base")
    out = tmp_path / "out"
    assert train(out, "--stage", "2", "--from", str(full), *OPTIONS, base=base) == 0
    found = find_checkpoint(out)
    assert found.base == str(out / "start")
    encoder, decoder = parts(weights(out / "start"))
    assert not changed(encoder, parts(weights(full))[0])
    assert not changed(decoder, parts(weights(base))[1])
    ReidModel.load(out).warm_up()
    third = tmp_path / "third"
    assert train(third, "--stage", "3", "--from", str(out), *OPTIONS) == 0
    assert find_checkpoint(third).base == str(third / "start")


def test_full_tuning_goes_on_from_an_adapter(done, tmp_path):
    out = tmp_path / "out"
    assert train(out, "--stage", "3", "--from", str(done / "stage2"), "--samples", "4") == 0
    second = load_weights(done / "stage2", torch.float32).state_dict()
    third = load_weights(out, torch.float32).state_dict()
    assert not changed(parts(second)[0], parts(third)[0])
    assert changed(parts(second)[1], parts(third)[1])


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        (
            lambda done, other: Origin(str(other), str(done / "stage1"), 4),
            "its decoder can only be the base's",
        ),
        (lambda done, other: Origin(str(tiny_folder()), str(done / "stage1"), 8), "go on with --lora 4"),
        (lambda done, other: Origin(str(done / "stage1"), str(done / "stage1"), 4), "is an adapter; --base"),
    ],
)
def test_what_does_not_fit_is_said(done, tmp_path, origin, said):
    base = other_base(tmp_path / "base")
    with pytest.raises(ModelError, match=said):
        start(2, origin(done, base), tmp_path)
