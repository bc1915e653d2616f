"""Pictures to unit vectors, and words by CLIP. torch and open_clip load with the first encoder, not before."""

from __future__ import annotations

import hashlib
import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from gallery_store.errors import first_line
from gallery_store.files import replacing, write_json
from gallery_store.torchvision_mend import mend_torchvision
from gallery_store.weights import not_finite

CONFIG_FILE = "open_clip_config.json"
WEIGHTS_FILE = "open_clip_model.safetensors"
_TEXT_BATCH = 64


class EncoderError(ValueError):
    """An encoder that cannot be had; the message says why and what to do."""


class ImageEncoder(Protocol):
    """What an import needs of an encoder. One with `fit(image) -> image` lets pictures be shrunk early."""

    name: str
    version: str
    dim: int

    def encode_images(self, images: Sequence[Image.Image], batch_size: int = 64) -> np.ndarray:
        """-> float32 (n, dim), rows of length 1."""
        ...


class WordEncoder(ImageEncoder, Protocol):
    """What a search needs of a CLIP: words beside pictures, wherever it runs.

    logit_scale: as ClipEncoder has it. lost: how often so far something had to be asked again, for who computed it
    was lost.
    """

    @property
    def logit_scale(self) -> float: ...

    @property
    def lost(self) -> int: ...

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """-> float32 (n, dim), rows of length 1."""
        ...


def fitted(encoder: ImageEncoder, image: Image.Image) -> Image.Image:
    """The picture, shrunk by an encoder that shrinks early."""
    fit = getattr(encoder, "fit", None)
    return fit(image) if fit is not None else image


def squashed(image: Image.Image, size: tuple[int, int], resample: Image.Resampling) -> Image.Image:
    """The picture in RGB at size (height, width) in pixels; the same object where nothing has to change."""
    height, width = size
    image = image if image.mode == "RGB" else image.convert("RGB")
    return image if image.size == (width, height) else image.resize((width, height), resample)


@dataclass(frozen=True)
class PictureRules:
    """How a network takes pictures: squashed to size (height, width) in pixels, values 0..1 less mean, by std.

    interpolation: "bilinear" or "bicubic". mean, std: of red, green and blue.
    """

    size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bilinear"


class PictureEncoder(ABC):
    """A network that makes a unit vector of a picture. Thread-safe; one call computes at a time.

    name, version: travel with each vector. dim: length of a vector, to be set by the subclass. size: (height, width)
    in pixels that pictures are squashed to.
    """

    dim: int

    def __init__(self, name: str, version: str, rules: PictureRules, device: str) -> None:
        self.name = name
        self.version = version
        self.size = rules.size
        bilinear = rules.interpolation == "bilinear"
        self.resample = Image.Resampling.BILINEAR if bilinear else Image.Resampling.BICUBIC
        self._mean = np.asarray(rules.mean, np.float32) * 255
        self._scale = 1 / (np.asarray(rules.std, np.float32) * 255)
        self._device = device
        self._lock = threading.RLock()

    @property
    def device(self) -> str:
        """The torch device that it computes on."""
        return self._device

    @abstractmethod
    def _forward(self, pixels: np.ndarray) -> np.ndarray:
        """float32 (n, 3, height, width), normalised -> float32 (n, dim), of any length; n is 1 or more."""

    def fit(self, image: Image.Image) -> Image.Image:
        """The picture as the model sees it, `size` pixels; encode_images(fit(x)) == encode_images(x)."""
        return squashed(image, self.size, self.resample)

    def encode_images(self, images: Sequence[Image.Image], batch_size: int = 64) -> np.ndarray:
        """-> float32 (n, dim), rows of length 1. Any size and mode of picture."""
        rows = []
        for start in range(0, len(images), batch_size):
            pixels = np.stack([np.asarray(self.fit(image)) for image in images[start : start + batch_size]])
            normal = (pixels.astype(np.float32) - self._mean) * self._scale
            with self._lock:
                rows.append(self._forward(np.ascontiguousarray(normal.transpose(0, 3, 1, 2))))
        return self._unit(rows)

    def _unit(self, rows: list[np.ndarray]) -> np.ndarray:
        if not rows:
            return np.zeros((0, self.dim), np.float32)
        vectors = np.concatenate(rows)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


class ClipEncoder(PictureEncoder):
    """An open_clip model, its tokenizer and its image rules.

    version: the first 12 hex digits of the weights' SHA-256. lost: as WordEncoder.
    """

    lost = 0

    def __init__(self, model: Any, tokenizer: Any, name: str, version: str, device: str = "cpu") -> None:
        cfg = model.visual.preprocess_cfg
        size = cfg["size"]
        size = (size, size) if isinstance(size, int) else (size[0], size[1])
        rules = PictureRules(size, tuple(cfg["mean"]), tuple(cfg["std"]), cfg["interpolation"])
        super().__init__(
            name, version, rules, device
        )  # its lock: fast tokenizers break when two set their padding
        if names := not_finite(model.named_parameters()):
            raise EncoderError(
                f"the CLIP {name} has weights that are not finite numbers ({len(names)}, such as {names[0]}); copy its "
                "files again"
            )
        self._model = model.eval().requires_grad_(False)
        self._tokenizer = tokenizer
        self.dim = int(self.encode_texts(["a person"]).shape[1])

    @classmethod
    def load(cls, spec: str | Path, device: str = "cpu") -> ClipEncoder:
        """A folder as `save_clip_folder` writes it, or an open_clip name: "ViT-B-16", "ViT-B-16/openai".

        A folder is read offline and without running any code from it. A name needs its weights on disk or
        on the hub, as safetensors. Raises EncoderError.
        """
        folder = Path(spec)
        if folder.is_dir():
            return cls._load_folder(folder, device)
        if isinstance(spec, Path) or str(spec).startswith((".", "/", "~")) or str(spec).count("/") > 1:
            raise EncoderError(
                f"there is no CLIP folder {spec}: name a folder that has {CONFIG_FILE} and {WEIGHTS_FILE}"
            )
        return cls._load_named(str(spec), device)

    @classmethod
    def _load_folder(cls, folder: Path, device: str) -> ClipEncoder:
        weights = folder / WEIGHTS_FILE
        for file in (folder / CONFIG_FILE, weights):
            if not file.is_file():
                raise EncoderError(f"the CLIP folder {folder} has no {file.name}: it is not complete")
        try:
            config = json.loads((folder / CONFIG_FILE).read_text("utf-8"))
            text_cfg = dict(config["model_cfg"]["text_cfg"])
        except (ValueError, KeyError, TypeError) as problem:
            raise EncoderError(
                f"{folder / CONFIG_FILE} is not an open_clip configuration: {problem}"
            ) from None
        name = str(config.get("name") or folder.resolve().name)
        offline = {"local_files_only": True, "trust_remote_code": False}
        tokenizer_options = offline if text_cfg.get("hf_tokenizer_name") else {}
        open_clip = _open_clip()
        where = f"local-dir:{folder}"
        try:
            model = open_clip.create_model(where, device=device, require_pretrained=True)
            tokenizer = open_clip.get_tokenizer(where, **tokenizer_options)
        except Exception as problem:  # each layer below has its own errors
            why = " ".join(str(problem).split())[:300]  # torch names what is missing from the second line on
            raise EncoderError(f"the CLIP folder {folder} cannot be loaded: {why}") from problem
        return cls(model, tokenizer, name, version_of(weights), device)

    @classmethod
    def _load_named(cls, spec: str, device: str) -> ClipEncoder:
        open_clip = _open_clip()
        architecture, _, tag = spec.partition("/")
        tags = open_clip.list_pretrained_tags_by_model(architecture)
        if not tags:
            raise EncoderError(
                f"{spec!r} is neither a CLIP folder nor an open_clip name: give a folder with {CONFIG_FILE}, "
                'or a name such as "ViT-B-16"'
            )
        tag = tag or ("openai" if "openai" in tags else tags[0])
        if tag not in tags:
            raise EncoderError(
                f"open_clip has no weights {tag!r} for {architecture}; it has: {', '.join(tags)}"
            )
        card = open_clip.get_pretrained_cfg(architecture, tag)
        weights = _hub_weights(card.get("hf_hub") or "", f"{architecture}/{tag}")
        try:
            model = open_clip.create_model(
                architecture,
                pretrained=str(weights),
                device=device,
                force_quick_gelu=bool(card.get("quick_gelu")),
                force_preprocess_cfg={k: card[k] for k in ("mean", "std", "interpolation") if card.get(k)},
            )
            tokenizer = open_clip.get_tokenizer(architecture)
        except Exception as problem:
            raise EncoderError(
                f"{architecture}/{tag} cannot be loaded: {first_line(problem, most=200)}"
            ) from problem
        return cls(model, tokenizer, f"{architecture}/{tag}", version_of(weights), device)

    @property
    def logit_scale(self) -> float:
        """What the cosines were multiplied by when pictures and words were taught to find each other, above 0."""
        return float(self._model.logit_scale.exp())

    def _forward(self, pixels: np.ndarray) -> np.ndarray:
        import torch

        with torch.inference_mode():
            return self._model.encode_image(torch.from_numpy(pixels).to(self._device)).float().cpu().numpy()

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """-> float32 (n, dim), rows of length 1. Texts longer than the model's context are cut."""
        import torch

        rows = []
        for start in range(0, len(texts), _TEXT_BATCH):
            with self._lock, torch.inference_mode():
                tokens = self._tokenizer(list(texts[start : start + _TEXT_BATCH])).to(self._device)
                rows.append(self._model.encode_text(tokens).float().cpu().numpy())
        return self._unit(rows)


def save_clip_folder(
    model: Any,
    model_cfg: dict,
    preprocess_cfg: dict,
    tokenizer: Any,
    folder: str | Path,
    name: str | None = None,
) -> Path:
    """Write what `ClipEncoder.load(folder)` reads; floats go to disk as fp16. Returns the folder.

    model: an open_clip CLIP built from `model_cfg`. tokenizer: a transformers fast tokenizer whose files go
    into the folder, or None for open_clip's own. The weights come last: a folder without them is not loaded.
    """
    import torch
    from safetensors.torch import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS_FILE).unlink(missing_ok=True)
    model_cfg = {**model_cfg, "text_cfg": dict(model_cfg["text_cfg"])}
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
        model_cfg["text_cfg"]["hf_tokenizer_name"] = "."  # any name: for a folder it is the folder itself
    config: dict[str, Any] = {
        "model_cfg": model_cfg,
        "preprocess_cfg": {"resize_mode": "squash", **preprocess_cfg},
    }
    if name:
        config = {"name": name, **config}
    write_json(folder / CONFIG_FILE, config)
    state = {
        key: (value.half() if value.is_floating_point() else value).detach().cpu().contiguous().clone()
        for key, value in model.state_dict().items()
        if isinstance(value, torch.Tensor)
    }
    with replacing(folder / WEIGHTS_FILE) as partial:
        save_file(state, partial, metadata={"format": "pt"})
    return folder


def resolve_device(wanted: str = "auto") -> str:
    """A torch device: for "auto" the first CUDA device, or "cpu" where there is none; other names as they are."""
    if wanted != "auto":
        return wanted
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _open_clip() -> Any:
    mend_torchvision()
    import open_clip

    return open_clip


def _hub_weights(address: str, name: str) -> Path:
    """address: "owner/repository/" or "owner/repository/file". Only safetensors: a pickle can run code."""
    from huggingface_hub import hf_hub_download

    repository, _, file = address.rpartition("/")
    file = WEIGHTS_FILE if not file else str(Path(file).with_suffix(".safetensors"))
    if not repository:
        raise EncoderError(f"the weights of {name} are not published as safetensors: choose another tag")
    try:
        return Path(hf_hub_download(repository, file, local_files_only=True))
    except Exception:  # not on disk yet
        pass
    try:
        return Path(hf_hub_download(repository, file))
    except Exception as problem:
        raise EncoderError(
            f"the weights of {name} are not on this machine and cannot be fetched ({first_line(problem, most=200)}): "
            f"connect to the hub once, or use a CLIP folder"
        ) from problem


def version_of(weights: Path, *others: bytes) -> str:
    """The first 12 hex digits of the SHA-256 of a file, and of what else a vector depends on."""
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    for other in others:
        digest.update(other)
    return digest.hexdigest()[:12]
