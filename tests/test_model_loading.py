"""Loading a toy checkpoint: plain, in 4 bit, in half precision, with an adapter; what cannot be says why."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from app.model.checkpoint import CheckpointManifest, ModelError
from app.model.loading import mend_four_bit
from app.model.reid_model import ReidModel
from app.model.vision import fixed_batch
from tests.tiny_qwen import build_tiny, picture, tiny_folder


def test_four_bit_runs_on_a_cpu():
    model = ReidModel.load(tiny_folder(), four_bit=True)
    words = model.yes_logits("a woman in a red jacket", [], [picture(1), picture(2)])
    assert np.isfinite(words).all()
    with model._ready() as loaded:
        kinds = {type(module).__name__ for module in loaded.language.text.modules()}
        seeing = {type(module).__name__ for module in loaded.language.model.model.visual.modules()}
    assert "Linear4bit" in kinds
    assert "Linear" in seeing and "Linear4bit" not in seeing  # small differences are read there
    full = ReidModel.load(tiny_folder()).yes_logits("a woman in a red jacket", [], [picture(1), picture(2)])
    assert np.abs(words - full).max() > 0  # the weights really are rounded


@pytest.mark.parametrize(
    ("inside", "outside", "packs"), [(128, 64, True), (160, 64, False), (128, 48, False)]
)
def test_four_bit_layers_that_bitsandbytes_cannot_pack_stay_unpacked(inside, outside, packs):
    from bitsandbytes.nn import Linear4bit

    layer = Linear4bit(inside, outside)
    layer.support_avx512bf16_for_cpu = True  # as on a CPU that has it
    mend_four_bit(torch.nn.Sequential(layer))
    assert layer.support_avx512bf16_for_cpu == packs


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    from peft import LoraConfig, get_peft_model
    from transformers import Qwen2VLForConditionalGeneration

    folder = tmp_path_factory.mktemp("lora")
    base = Qwen2VLForConditionalGeneration.from_pretrained(tiny_folder(), dtype=torch.float32)
    torch.manual_seed(0)
    tuned = get_peft_model(
        base, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    )
    tuned.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("four_bit", [False, True])
def test_an_adapter_folder_loads_on_its_base_and_counts(adapter, four_bit):
    candidates = [picture(1), picture(2)]
    model = ReidModel.load(adapter, four_bit=four_bit)
    tuned = model.yes_logits("a man", [], candidates)
    plain = ReidModel.load(tiny_folder(), four_bit=four_bit).yes_logits("a man", [], candidates)
    assert np.abs(tuned - plain).max() > 1e-3
    CheckpointManifest(name="tuned", base_model="tiny").write(adapter)
    try:
        assert ReidModel.load(adapter).name == "tuned"
    finally:
        (adapter / "chatreid.json").unlink()


def test_checkpoints_that_cannot_be_used_say_why(tmp_path):
    with pytest.raises(ModelError, match="no checkpoint folder"):
        ReidModel.load(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="no config"):
        ReidModel.load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(ModelError, match="llama"):
        ReidModel.load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2_vl"}))
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ModelError, match="safetensors"):
        ReidModel.load(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        ReidModel.load(tmp_path)


def test_a_hub_name_is_taken_as_one_and_its_absence_is_one_clear_error(monkeypatch, tmp_path):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    model = ReidModel.load("Qwen/Qwen2-VL-2B-Instruct")
    assert (model.name, model.manifest, model.rule.fixed) == ("Qwen/Qwen2-VL-2B-Instruct", None, (252, 140))
    with pytest.raises(ModelError, match="Qwen/Qwen2-VL-2B-Instruct cannot be loaded"):
        model.warm_up()


def test_off_the_cpu_every_batch_has_one_shape():
    rows = torch.zeros(5, 3, 2, device="meta")
    assert fixed_batch(rows, 32).shape == (32, 3, 2)
    assert fixed_batch(torch.zeros(5, 3, 2), 32).shape == (5, 3, 2)


def test_a_torn_weight_file_is_one_clear_error(tmp_path):
    folder = build_tiny(tmp_path / "torn")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    model = ReidModel.load(folder)
    with pytest.raises(ModelError, match="torn cannot be loaded"):
        model.warm_up()


def test_half_precision_on_disk_runs_in_float32(tmp_path):
    folder = build_tiny(tmp_path / "half")
    weights = folder / "model.safetensors"
    save_file(
        {key: value.half() for key, value in load_file(weights).items()}, weights, metadata={"format": "pt"}
    )
    model = ReidModel.load(folder)
    words = model.yes_logits("a man", [], [picture(1)])
    with model._ready() as loaded:
        assert loaded.language.dtype == torch.float32
    full = ReidModel.load(tiny_folder()).yes_logits("a man", [], [picture(1)])
    np.testing.assert_allclose(words, full, atol=2e-2)
