"""CLIP folders: what is written is what is read, offline, and what is wrong with one is said."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from gallery_store.encoder import CONFIG_FILE, WEIGHTS_FILE, ClipEncoder, EncoderError, resolve_device
from tests.clip_folder import make_clip_folder
from tests.gallery_tools import picture

TEXTS = ["a woman in a red jacket", "a man with a black hat", "unheard-of words", "", "red " * 500]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_clip_folder(tmp_path_factory.mktemp("clip") / "tiny")


@pytest.fixture(scope="module")
def encoder(folder):
    return ClipEncoder.load(folder)


def test_vectors_are_unit_rows_and_the_name_travels(encoder, folder):
    assert (encoder.name, encoder.dim, encoder.size) == ("tiny", 32, (56, 28))
    assert len(encoder.version) == 12 and int(encoder.version, 16) >= 0
    images = encoder.encode_images([picture(n, 30 + n, 90) for n in range(5)])
    texts = encoder.encode_texts(TEXTS)
    for vectors in (images, texts):
        assert vectors.dtype == np.float32 and vectors.shape == (5, 32)
        assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-5
    assert encoder.encode_images([]).shape == encoder.encode_texts([]).shape == (0, 32)
    assert np.abs(texts[0] - texts[1]).max() > 1e-3 and np.abs(images[0] - images[1]).max() > 1e-3
    again = ClipEncoder.load(str(folder))
    assert again.version == encoder.version and np.array_equal(again.encode_texts(TEXTS), texts)


def test_a_batch_never_changes_a_vector(encoder):
    images = [picture(n, 20 + n, 60) for n in range(9)]
    alone = np.concatenate([encoder.encode_images([image]) for image in images])
    assert np.abs(encoder.encode_images(images) - alone).max() < 1e-5
    assert np.abs(encoder.encode_images(images, batch_size=4) - alone).max() < 1e-5
    texts = np.concatenate([encoder.encode_texts([text]) for text in TEXTS])
    assert np.abs(encoder.encode_texts(TEXTS) - texts).max() < 1e-5


def test_a_fitted_picture_is_the_same_picture(encoder):
    for image in (picture(1, 200, 300), picture(2).convert("L"), picture(3).convert("RGBA")):
        fitted = encoder.fit(image)
        assert fitted.size == (28, 56) and fitted.mode == "RGB"
        assert np.array_equal(encoder.encode_images([fitted]), encoder.encode_images([image]))


def test_images_are_normalised_as_open_clip_does(encoder, folder):
    """Against open_clip's own preprocessing, which resizes a little differently: at the exact size."""
    import open_clip
    import torch

    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    image = picture(4, 28, 56)
    with torch.inference_mode():
        expected = model.eval().encode_image(preprocess(image).unsqueeze(0), normalize=True).numpy()
        tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(TEXTS[:2])
        texts = model.encode_text(tokens, normalize=True).numpy()
    assert np.abs(encoder.encode_images([image]) - expected).max() < 1e-5
    assert np.abs(encoder.encode_texts(TEXTS[:2]) - texts).max() < 1e-5


def test_weights_are_half_precision_on_disk_and_single_in_memory(encoder, folder):
    with safe_open(folder / WEIGHTS_FILE, "pt") as weights:
        assert {weights.get_tensor(key).dtype.itemsize for key in list(weights.keys())} == {2}
    assert {parameter.dtype.itemsize for parameter in encoder._model.parameters()} == {4}
    assert not list(folder.glob(".*"))


def test_the_seed_decides_and_a_config_may_name_the_model(folder, tmp_path, encoder):
    same = make_clip_folder(tmp_path / "same")
    other = make_clip_folder(tmp_path / "other", seed=1)
    config = json.loads((other / CONFIG_FILE).read_text())
    (other / CONFIG_FILE).write_text(json.dumps({"name": "named", **config}))
    assert ClipEncoder.load(same).version == encoder.version
    loaded = ClipEncoder.load(other)
    assert loaded.name == "named" and loaded.version != encoder.version


def test_threads_share_an_encoder(encoder):
    expected = encoder.encode_texts(TEXTS)
    found: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: found.extend(encoder.encode_texts(TEXTS) for _ in range(10)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40 and all(np.array_equal(vectors, expected) for vectors in found)


def test_what_is_wrong_with_a_folder_is_said(tmp_path):
    def broken(name: str):
        return make_clip_folder(tmp_path / name)

    bare = broken("bare")
    (bare / WEIGHTS_FILE).unlink()
    garbled = broken("garbled")
    (garbled / CONFIG_FILE).write_text("{")
    foreign = broken("foreign")
    (foreign / CONFIG_FILE).write_text('{"model_type": "bert"}')
    torn = broken("torn")
    (torn / WEIGHTS_FILE).write_bytes((torn / WEIGHTS_FILE).read_bytes()[:-100])
    mixed = broken("mixed")
    (mixed / WEIGHTS_FILE).write_bytes(
        (make_clip_folder(tmp_path / "wide", dim=48) / WEIGHTS_FILE).read_bytes()
    )
    speechless = broken("speechless")
    for file in speechless.glob("tokenizer*"):
        file.unlink()
    for folder, reason in [
        (bare, f"has no {WEIGHTS_FILE}"),
        (garbled, "not an open_clip configuration"),
        (foreign, "not an open_clip configuration"),
        (torn, "cannot be loaded"),
        (mixed, "cannot be loaded"),
        (speechless, "cannot be loaded"),
        (tmp_path / "nowhere", "there is no CLIP folder"),
    ]:
        with pytest.raises(EncoderError, match=reason) as caught:
            ClipEncoder.load(folder)
        assert folder.name in str(caught.value)


def test_a_pickle_beside_the_folder_is_not_loaded(tmp_path):
    folder = make_clip_folder(tmp_path / "pickled")
    (folder / WEIGHTS_FILE).rename(folder / "open_clip_pytorch_model.bin")
    with pytest.raises(EncoderError, match="safetensors"):
        ClipEncoder.load(folder)


def test_names_that_open_clip_does_not_know():
    with pytest.raises(EncoderError, match="neither a CLIP folder nor an open_clip name"):
        ClipEncoder.load("ViT-Z-99")
    with pytest.raises(EncoderError, match=r"no weights 'nope' for ViT-B-16; it has: openai"):
        ClipEncoder.load("ViT-B-16/nope")
    with pytest.raises(EncoderError, match="there is no CLIP folder"):
        ClipEncoder.load("./ViT-B-16")


def test_a_named_model_loads_from_its_weights_file(tmp_path, monkeypatch):
    """The way of "ViT-B-16", with an architecture small enough to make its weights here."""
    import open_clip
    from safetensors.torch import save_file

    from gallery_store import encoder as module

    model = open_clip.create_model("ViT-S-32-alt")
    weights = tmp_path / "open_clip_model.safetensors"
    save_file(model.state_dict(), weights)
    card = {"hf_hub": "somebody/small/", "mean": (0.5,) * 3, "std": (0.5,) * 3, "quick_gelu": True}
    monkeypatch.setattr(open_clip, "list_pretrained_tags_by_model", lambda name: ["a", "b"])
    monkeypatch.setattr(open_clip, "get_pretrained_cfg", lambda name, tag: card)
    asked: list[tuple[str, str]] = []

    def download(repository: str, file: str, local_files_only: bool = False) -> str:
        asked.append((repository, file))
        if local_files_only:
            raise FileNotFoundError
        return str(weights)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    loaded = ClipEncoder.load("ViT-S-32-alt/b")
    assert (loaded.name, loaded.size) == ("ViT-S-32-alt/b", (224, 224))
    assert asked == [("somebody/small", "open_clip_model.safetensors")] * 2
    assert np.allclose(loaded._mean, 127.5)
    assert loaded.encode_images([Image.new("RGB", (50, 100))]).shape == (1, loaded.dim)
    card["hf_hub"] = ""
    with pytest.raises(EncoderError, match="not published as safetensors"):
        ClipEncoder.load("ViT-S-32-alt")
    assert module.WEIGHTS_FILE == "open_clip_model.safetensors"


def test_the_mend_lets_both_users_of_torchvision_be_imported():
    """In a fresh process: here it is done already. The processor of Qwen2-VL and open_clip need it."""
    script = (
        "from gallery_store.torchvision_mend import mend_torchvision\n"
        "mend_torchvision(); mend_torchvision()\n"
        "import open_clip, torchvision\n"
        "from transformers import Qwen2VLImageProcessor\n"
        "from PIL import Image\n"
        "out = Qwen2VLImageProcessor()(images=[Image.new('RGB', (56, 112))], return_tensors='pt')\n"
        "print(tuple(out['image_grid_thw'][0].tolist()))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("(1, ")


@pytest.mark.parametrize("there", [True, False])
def test_auto_is_the_cuda_device_where_there_is_one(monkeypatch, there):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert resolve_device() == resolve_device("auto") == ("cuda" if there else "cpu")
    assert [resolve_device(name) for name in ("cpu", "cuda:1")] == ["cpu", "cuda:1"]


def test_importing_the_package_loads_no_model_library():
    script = (
        "import sys, gallery_store.cli, gallery_store.importer, gallery_store.encoder\n"
        "print([name for name in 'torch open_clip transformers gradio app'.split() if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
