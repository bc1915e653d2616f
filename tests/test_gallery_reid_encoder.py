"""Re-ID networks: every form gives timm's own vectors, and what is wrong with one is said in a sentence."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from gallery_store.encoder import EncoderError, PictureRules
from gallery_store.reid_encoder import ReidEncoder, files_of, version_at
from gallery_store.torchvision_mend import mend_torchvision
from tests.gallery_tools import picture
from tests.reid_files import RULES, SIZE, tiny_timm, write_torchscript

mend_torchvision()
import timm  # noqa: E402

PICTURES = [picture(n, 20 + 3 * n, 70) for n in range(6)]


@pytest.fixture(scope="module")
def model():
    return tiny_timm()


@pytest.fixture(scope="module")
def expected(model):
    """What the network itself says, by plain arithmetic on the pictures at its size."""
    rows = []
    for image in PICTURES:
        pixels = np.asarray(image.resize(SIZE[::-1], Image.Resampling.BILINEAR), np.float32) / 255
        normal = (pixels - np.array(RULES["mean"])) / np.array(RULES["std"])
        with torch.inference_mode():
            row = model(torch.tensor(normal.transpose(2, 0, 1)[None], dtype=torch.float32))[0].numpy()
        rows.append(row / np.linalg.norm(row))
    return np.stack(rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, model):
    """The network in each form."""
    folder = tmp_path_factory.mktemp("reid")
    save_file(model.state_dict(), folder / "bare.safetensors")
    trained = {f"module.backbone.{name}": value for name, value in model.state_dict().items()}
    trained["module.classifier.weight"] = torch.zeros(3, model.num_features)
    torch.save({"epoch": 60, "state_dict": trained}, folder / "trained.pth")
    for name in ("bare", "trained"):
        (folder / f"{name}.json").write_text(json.dumps(RULES))
    write_torchscript(folder / "whole.pt", model)
    cfg = {"input_size": (3, *SIZE), "mean": RULES["mean"], "std": RULES["std"], "interpolation": "bilinear"}
    model.pretrained_cfg = {**model.pretrained_cfg, **cfg}
    timm.models.save_for_hf(model, folder / "hub", safe_serialization=True)
    return folder


def specs(folder):
    return (
        f"test_resnet={folder}/bare.safetensors",
        f"test_resnet={folder}/trained.pth",
        f"{folder}/whole.pt",
        f"{folder}/hub",
    )


@pytest.mark.parametrize("form", range(4))
def test_each_form_gives_the_networks_own_vectors(folder, expected, form):
    spec = specs(folder)[form]
    encoder = ReidEncoder.load(spec)
    vectors = encoder.encode_images(PICTURES)
    assert vectors.dtype == np.float32 and vectors.shape == (6, encoder.dim) and encoder.size == SIZE
    assert np.abs(vectors - expected).max() < 1e-4
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-5
    assert encoder.name == ("test_resnet/bare", "test_resnet/trained", "whole", "hub")[form]
    assert len(encoder.version) == 12 and encoder.version == version_at(spec)
    assert encoder.encode_images([]).shape == (0, encoder.dim)


def test_a_batch_never_changes_a_vector(folder):
    for spec in specs(folder):
        encoder = ReidEncoder.load(spec)
        alone = np.concatenate([encoder.encode_images([image]) for image in PICTURES])
        assert np.abs(encoder.encode_images(PICTURES) - alone).max() < 1e-5
        assert np.abs(encoder.encode_images(PICTURES, batch_size=4) - alone).max() < 1e-5
        fitted = [encoder.fit(image) for image in PICTURES]
        assert np.array_equal(encoder.encode_images(fitted), encoder.encode_images(PICTURES))


def test_the_version_follows_weights_and_settings(folder, tmp_path):
    one = write_torchscript(tmp_path / "one.pt", tiny_timm(1))
    before = version_at(one)
    assert before != version_at(folder / "whole.pt")
    assert version_at(one) == before
    one.with_suffix(".json").write_text(json.dumps({**RULES, "size": [32, 32]}))
    assert version_at(one) != before  # another size, other vectors
    assert files_of(one) == (one, one.with_suffix(".json"))
    assert files_of(f"test_resnet={one}") == files_of(one)
    assert [file.name for file in files_of(folder / "hub")] == ["model.safetensors", "config.json"]


def test_weights_that_are_not_used_are_told(folder, capsys):
    ReidEncoder.load(f"test_resnet={folder}/trained.pth")
    assert "weights not used: 1, such as module.classifier.weight" in capsys.readouterr().err


def test_timms_own_configuration_holds_where_nothing_lies_beside(tmp_path, model):
    save_file(model.state_dict(), tmp_path / "bare.safetensors")
    assert ReidEncoder.load(f"test_resnet={tmp_path}/bare.safetensors").size == (160, 160)
    (tmp_path / "bare.json").write_text('{"size": [48, 24], "name": "market"}')
    encoder = ReidEncoder.load(f"test_resnet={tmp_path}/bare.safetensors")
    assert (encoder.size, encoder.name) == ((48, 24), "market")


class _Runs:
    """A pickle that runs code when it is read."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (open, (str(self.mark), "w"))


def test_a_pickle_runs_nothing(tmp_path):
    torch.save({"state_dict": _Runs(tmp_path / "mark")}, tmp_path / "evil.pth")
    with pytest.raises(EncoderError, match=r"evil\.pth cannot be read as tensors alone"):
        ReidEncoder.load(f"test_resnet={tmp_path}/evil.pth")
    assert not (tmp_path / "mark").exists()


def test_torchscript_runs_only_where_it_was_named_as_a_network(folder):
    with pytest.raises(EncoderError, match="cannot be read as tensors alone"):
        ReidEncoder.load(f"test_resnet={folder}/whole.pt")


class _Batch(nn.Module):
    """Each picture less the mean of its batch."""

    def forward(self, pixels):
        pooled = pixels.mean((2, 3))
        return pooled - pooled.mean(0, keepdim=True)


_TRAINING = nn.Sequential(nn.BatchNorm2d(3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).train()


class _Map(nn.Module):
    def forward(self, pixels):
        return pixels[:, :, ::8, ::8]


class _Two(nn.Module):
    def forward(self, pixels):
        return pixels.mean((2, 3)), pixels.mean((2, 3))


class _Nothing(nn.Module):
    def forward(self, pixels):
        return pixels.mean((2, 3)) / 0 - pixels.mean((2, 3)) / 0


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (_Batch(), "another vector when another picture stands beside it"),
        (_TRAINING, "another vector when another picture stands beside it"),
        (_Map(), "not one vector each: export the network up to its pooled feature"),
        (_Two(), "gives tuple for"),
        (_Nothing(), "not finite"),
    ],
)
def test_a_network_that_cannot_serve_is_refused_when_it_is_loaded(tmp_path, network, reason):
    file = write_torchscript(tmp_path / "net.pt", network)
    with pytest.raises(EncoderError, match=reason):
        ReidEncoder.load(file)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("resnet50", "names no re-ID encoder: give ARCHITECTURE=FILE"),
        ("./nowhere", "names no re-ID encoder"),
        ("nowhere.pt", r"there are no re-ID weights nowhere\.pt"),
        ("resnet50=nowhere.pth", r"there are no re-ID weights nowhere\.pth"),
        ("hf-hub:timm/resnet50=trained.pth", "timm knows no network 'hf-hub:timm/resnet50'"),
        ("resnet18=trained.pth", r"not the weights of timm's resnet18: \d+ of \d+ are missing"),
        ("test_resnet=torn.safetensors", "cannot be read as tensors alone"),
        ("torn.pt", "is no TorchScript file"),
        ("silent.pt", r"write .*silent\.json with size"),
        ("wrong.pt", r"wrong\.json does not tell how pictures are taken \(sizes"),
        ("empty", r"has no config\.json"),
        (".", r"has no config\.json"),
    ],
)
def test_each_mistake_is_one_sentence(folder, tmp_path, monkeypatch, spec, reason):
    for name in ("trained.pth", "trained.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    for name in ("silent.pt", "wrong.pt"):
        (tmp_path / name).write_bytes((folder / "whole.pt").read_bytes())
    for name in ("torn.pt", "torn.safetensors"):
        (tmp_path / name).write_bytes(b"torn")
    (tmp_path / "torn.json").write_text(json.dumps(RULES))
    (tmp_path / "wrong.json").write_text('{"sizes": [64, 32]}')
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EncoderError, match=reason) as caught:
        ReidEncoder.load(spec)
    assert "\n" not in str(caught.value)


def test_a_folder_names_no_hub(folder, tmp_path):
    (tmp_path / "model.safetensors").write_bytes((folder / "hub" / "model.safetensors").read_bytes())
    (tmp_path / "config.json").write_text('{"architecture": "hf-hub:somebody/network"}')
    with pytest.raises(EncoderError, match="timm knows no network"):
        ReidEncoder.load(tmp_path)


def test_a_folder_cannot_have_another_file_read(folder, tmp_path):
    (tmp_path / "model.safetensors").write_bytes((folder / "hub" / "model.safetensors").read_bytes())
    torch.save({"state_dict": _Runs(tmp_path / "mark")}, tmp_path / "evil.pth")
    config = json.loads((folder / "hub" / "config.json").read_text())
    config["model_args"] = {
        "pretrained": True,
        "checkpoint_path": str(tmp_path / "evil.pth"),
        "num_classes": 9,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    found, expected = ReidEncoder.load(tmp_path), ReidEncoder.load(folder / "hub")
    assert np.array_equal(found.encode_images(PICTURES), expected.encode_images(PICTURES))
    assert not (tmp_path / "mark").exists()


def test_onnx_without_onnxruntime_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "net.onnx").write_bytes(b"any")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EncoderError, match="onnxruntime, which is not installed: run `pip install"):
        ReidEncoder.load(tmp_path / "net.onnx")


@pytest.mark.parametrize("fixed", [0, 1, 4])
def test_onnx_is_asked_for_as_many_pictures_as_it_takes(tmp_path, monkeypatch, fixed):
    """By a stand-in for onnxruntime, which is no requirement of ours."""
    asked = []

    class Session:
        def __init__(self, path, providers):
            assert path == str(tmp_path / "net.onnx") and providers == ["CPUExecutionProvider"]

        def get_inputs(self):
            return [SimpleNamespace(name="input", shape=[fixed or "batch", 3, *SIZE])]

        def run(self, outputs, given):
            assert outputs is None and given["input"].dtype == np.float32
            asked.append(len(given["input"]))
            return [given["input"].reshape(len(given["input"]), 3, -1)[:, :, ::100].reshape(asked[-1], -1)]

    runtime = SimpleNamespace(InferenceSession=Session, get_available_providers=lambda: [])
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    (tmp_path / "net.onnx").write_bytes(b"any")
    (tmp_path / "net.json").write_text(json.dumps(RULES))
    encoder = ReidEncoder.load(tmp_path / "net.onnx")
    asked.clear()
    vectors = encoder.encode_images(PICTURES)
    assert asked == {0: [6], 1: [1] * 6, 4: [4, 4]}[fixed]
    plain = [np.asarray(encoder.fit(image), np.float32) / 255 for image in PICTURES]
    normal = (np.stack(plain) - RULES["mean"]) / RULES["std"]
    rows = normal.transpose(0, 3, 1, 2).reshape(6, 3, -1)[:, :, ::100].reshape(6, -1)
    assert np.abs(vectors - rows / np.linalg.norm(rows, axis=1, keepdims=True)).max() < 1e-5


@pytest.mark.parametrize("batch", ["n", 1, 4])
def test_a_real_onnx_network(tmp_path, batch):
    """The mean colours of a picture."""
    import onnx

    shape = [batch, 3, *SIZE]
    pooled = onnx.helper.make_node("GlobalAveragePool", ["pixels"], ["pooled"])
    flat = onnx.helper.make_node("Flatten", ["pooled"], ["vector"])
    graph = onnx.helper.make_graph(
        [pooled, flat],
        "means",
        [onnx.helper.make_tensor_value_info("pixels", onnx.TensorProto.FLOAT, shape)],
        [onnx.helper.make_tensor_value_info("vector", onnx.TensorProto.FLOAT, [batch, 3])],
    )
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(made, tmp_path / "means.onnx")
    (tmp_path / "means.json").write_text(json.dumps(RULES))
    encoder = ReidEncoder.load(tmp_path / "means.onnx")
    colours = [np.asarray(encoder.fit(image), np.float32).mean((0, 1)) / 255 for image in PICTURES]
    rows = (np.stack(colours) - RULES["mean"]) / RULES["std"]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert np.abs(encoder.encode_images(PICTURES) - rows).max() < 1e-4
    (tmp_path / "means.onnx").write_bytes(b"torn")
    with pytest.raises(EncoderError, match="no network that onnxruntime can read"):
        ReidEncoder.load(tmp_path / "means.onnx")


def test_pictures_of_another_size_than_the_network_takes_are_one_sentence():
    def network(pixels):
        raise RuntimeError("Expected 256\nGot 64")

    with pytest.raises(
        EncoderError, match="net cannot take 2 pictures of 64x32 pixels: Expected 256"
    ) as caught:
        ReidEncoder(network, "net", "1", PictureRules(SIZE, (0, 0, 0), (1, 1, 1)))
    assert "\n" not in str(caught.value)
