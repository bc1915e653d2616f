"""Re-identification networks: pictures of people to unit vectors, for the prefilter of queries by picture.

Named by one text: "ARCHITECTURE=FILE" (a timm network and its weights), a folder as timm writes it, "FILE.pt"
(TorchScript) or "FILE.onnx". TorchScript is a program, and loading it runs it: only a file that the operator named is
taken. Weights are read from safetensors, or as tensors alone from a pickle. Nothing is fetched.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from gallery_store.console import remark
from gallery_store.encoder import EncoderError, PictureEncoder, PictureRules, version_of
from gallery_store.errors import first_line
from gallery_store.torchvision_mend import mend_torchvision

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
FORMS = (
    "ARCHITECTURE=FILE (a timm network and its weights), a timm folder, FILE.pt (TorchScript) or FILE.onnx"
)
_RULES = '{"size": [256, 128], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}'
_WRAPPERS = ("state_dict", "model", "net")  # what trainers put around the weights
_SAME = 1e-3  # 1 - cosine, between a picture's vectors alone and beside another

Network = Callable[[np.ndarray], Any]  # float32 (n, 3, height, width) -> what the network gives


@dataclass(frozen=True)
class _Beside:
    """The JSON beside a file of weights. size: (height, width) in pixels. mean, std: of values 0..1."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    size: tuple[int, int] | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    interpolation: Literal["bilinear", "bicubic"] | None = None
    name: str = ""


@dataclass(frozen=True)
class _Source:
    """What a spec names. architecture: timm's name; "" for a file that is a whole network. config: timm's, of a
    folder. settings: the bytes of what lies beside the weights."""

    architecture: str
    weights: Path
    name: str
    config: Mapping[str, Any]
    beside: _Beside
    settings: bytes

    @property
    def version(self) -> str:
        return version_of(self.weights, self.architecture.encode(), self.settings)


class ReidEncoder(PictureEncoder):
    """A network that was taught to tell people apart. It takes pictures only; words are CLIP's.

    version: the first 12 hex digits of a SHA-256 of the weights, the architecture's name and the settings beside them.
    """

    def __init__(
        self, network: Network, name: str, version: str, rules: PictureRules, device: str = "cpu"
    ) -> None:
        """Raises EncoderError for a network that gives no vector a picture, or whose vectors depend on the batch."""
        super().__init__(name, version, rules, device)
        self._network = network
        height, width = rules.size
        pictures = np.random.default_rng(0).normal(size=(2, 3, height, width)).astype(np.float32)
        pictures[1, :, : height // 2] = 2
        together, alone = self._unit([self._forward(pictures)]), self._unit([self._forward(pictures[:1])])
        self.dim = together.shape[1]
        if not 1 - float(together[0] @ alone[0]) < _SAME:
            raise EncoderError(
                f"the re-ID encoder {name} gives a picture another vector when another picture stands beside it: "
                "export it in evaluation mode (model.eval())"
            )

    @classmethod
    def load(cls, spec: str | Path, device: str = "cpu") -> ReidEncoder:
        """The network that `spec` names (see above), read offline. Raises EncoderError."""
        source = _source(str(spec))
        if source.architecture:
            network, rules = _timm(source, device)
        elif source.weights.suffix.lower() == ".onnx":
            network, rules = _onnx(source, device), _rules_beside(source)
        else:
            network, rules = _torchscript(source, device), _rules_beside(source)
        return cls(network, source.name, source.version, rules, device)

    def _forward(self, pixels: np.ndarray) -> np.ndarray:
        try:
            output = self._network(pixels)
        except Exception as problem:  # TorchScript and ONNX have errors of their own
            raise EncoderError(
                f"the re-ID encoder {self.name} cannot take {len(pixels)} pictures of {self.size[0]}x{self.size[1]} "
                f"pixels: {first_line(problem, most=200)}"
            ) from problem
        if not isinstance(output, np.ndarray) or output.ndim != 2 or len(output) != len(pixels):
            found = output.shape if isinstance(output, np.ndarray) else type(output).__name__
            raise EncoderError(
                f"the re-ID encoder {self.name} gives {found} for {len(pixels)} pictures, not one vector each: "
                "export the network up to its pooled feature"
            )
        if not np.isfinite(output).all():
            raise EncoderError(f"the re-ID encoder {self.name} gives numbers that are not finite")
        return output.astype(np.float32)


def version_at(spec: str | Path) -> str:
    """The version that `ReidEncoder.load(spec)` has, without loading the network. Raises EncoderError."""
    return _source(str(spec)).version


def files_of(spec: str | Path) -> tuple[Path, ...]:
    """The weights and what lies beside them. Raises EncoderError."""
    weights = _source(str(spec)).weights
    return (
        weights,
        *(file for file in (_json_beside(weights), weights.parent / CONFIG_FILE) if file.is_file()),
    )


def _source(spec: str) -> _Source:
    path = Path(spec).expanduser()
    if path.is_dir():
        return _folder(path)
    architecture, equals, file = spec.partition("=")
    if equals and not path.exists():
        path = Path(file).expanduser()
    elif path.suffix.lower() not in (".pt", ".pts", ".ts", ".torchscript", ".onnx"):
        raise EncoderError(f"{spec!r} names no re-ID encoder: give {FORMS}")
    else:
        architecture = ""
    if not path.is_file():
        raise EncoderError(f"there are no re-ID weights {path}: give {FORMS}")
    beside, settings = _read_beside(_json_beside(path))
    name = beside.name or (f"{architecture}/{path.stem}" if architecture else path.stem)
    return _Source(architecture, path, name, {}, beside, settings)


def _folder(folder: Path) -> _Source:
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise EncoderError(f"the re-ID folder {folder} has no {name}: it is not one that timm writes")
    settings = (folder / CONFIG_FILE).read_bytes()
    try:
        config = json.loads(settings)
        architecture = str(config["architecture"])
    except (ValueError, KeyError, TypeError):
        raise EncoderError(f"{folder / CONFIG_FILE} is not timm's: it names no architecture") from None
    return _Source(architecture, folder / WEIGHTS_FILE, folder.resolve().name, config, _Beside(), settings)


def _json_beside(weights: Path) -> Path:
    return weights.with_suffix(".json")


def _read_beside(file: Path) -> tuple[_Beside, bytes]:
    if not file.is_file():
        return _Beside(), b""
    from pydantic import TypeAdapter, ValidationError

    settings = file.read_bytes()
    try:
        beside = TypeAdapter(_Beside).validate_json(settings)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise EncoderError(
            f"{file} does not tell how pictures are taken ({where}: {first['msg']}): write {_RULES}"
        ) from None
    if min(beside.size or (1,)) < 1 or min(beside.std or (1,)) <= 0:
        raise EncoderError(f"{file} has a size or a std that is not above 0: write {_RULES}")
    return beside, settings


def _rules_beside(source: _Source) -> PictureRules:
    """Of a file that does not say it itself."""
    beside = source.beside
    if beside.size is None or beside.mean is None or beside.std is None:
        raise EncoderError(
            f"{source.weights} does not tell how it takes pictures: write {_json_beside(source.weights)} with "
            f"size (height, width), mean and std of its training, such as {_RULES}"
        )
    return PictureRules(beside.size, beside.mean, beside.std, beside.interpolation or "bilinear")


def _timm(source: _Source, device: str) -> tuple[Network, PictureRules]:
    """The JSON beside the weights goes before timm's own configuration."""
    mend_torchvision()
    import timm
    import torch
    from timm.data import resolve_data_config

    if not timm.is_model(source.architecture):  # create_model would also take addresses of hubs
        raise EncoderError(
            f"timm knows no network {source.architecture!r}; the re-ID encoder is one of {FORMS}"
        )
    try:
        own = {
            "pretrained": False,
            "checkpoint_path": "",
            "num_classes": 0,
        }  # a folder's file may not say otherwise
        model = timm.create_model(source.architecture, **{**(source.config.get("model_args") or {}), **own})
        data = resolve_data_config({}, pretrained_cfg=source.config.get("pretrained_cfg"), model=model)
    except (TypeError, ValueError, KeyError, RuntimeError) as problem:
        raise EncoderError(
            f"timm cannot make {source.architecture} for {source.weights}: {first_line(problem)}"
        ) from problem
    model.load_state_dict(_fitted(_state(source.weights), model.state_dict(), source), strict=False)
    model = model.eval().requires_grad_(False).to(device)
    beside = source.beside
    rules = PictureRules(
        beside.size or tuple(data["input_size"][1:]),
        beside.mean or tuple(data["mean"]),
        beside.std or tuple(data["std"]),
        beside.interpolation or data["interpolation"],
    )

    def network(pixels: np.ndarray) -> Any:
        with torch.inference_mode():
            return model(torch.from_numpy(pixels).to(device)).float().cpu().numpy()

    return network, rules


def _state(file: Path) -> dict[str, Any]:
    """Name -> tensor."""
    import torch

    try:
        if file.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            return load_file(file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of TorchScript, which is then refused
            held = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as problem:
        raise EncoderError(
            f"the re-ID weights {file} cannot be read as tensors alone ({first_line(problem)}): save the network's "
            "state_dict by safetensors or torch.save"
        ) from problem
    while isinstance(held, Mapping) and (
        inner := next((held[key] for key in _WRAPPERS if key in held), None)
    ):
        held = inner
    if not isinstance(held, Mapping):
        raise EncoderError(f"the re-ID weights {file} are no state_dict but a {type(held).__name__}")
    return {str(name): value for name, value in held.items() if isinstance(value, torch.Tensor)}


def _fitted(state: Mapping[str, Any], wanted: Mapping[str, Any], source: _Source) -> dict[str, Any]:
    """The network's own weights under its own names, whatever prefix a trainer gave them; none may be missing."""
    first = next(iter(wanted))
    prefixes = {name.removesuffix(first) for name in state if name.endswith(first)} | {""}
    prefix = max(sorted(prefixes), key=lambda prefix: sum(prefix + name in state for name in wanted))
    found = {name: state[prefix + name] for name in wanted if prefix + name in state}
    wrong = [name for name in wanted if name not in found and not name.endswith("num_batches_tracked")]
    wrong += [name for name, value in found.items() if value.shape != wanted[name].shape]
    if wrong:
        raise EncoderError(
            f"{source.weights} are not the weights of timm's {source.architecture}: {len(wrong)} of {len(wanted)} are "
            f"missing or of another shape, such as {wrong[0]}; a network that timm has not can be given as TorchScript"
        )
    if unused := sorted(set(state) - {prefix + name for name in found}):
        remark(f"re-ID encoder {source.name}: weights not used: {len(unused)}, such as {unused[0]}")
    return found


def _torchscript(source: _Source, device: str) -> Network:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            model = torch.jit.load(str(source.weights), map_location=device).eval()
        except Exception as problem:
            raise EncoderError(
                f"{source.weights} is no TorchScript file ({first_line(problem, most=80)}): weights alone need their "
                f"network, ARCHITECTURE={source.weights}"
            ) from problem

    def network(pixels: np.ndarray) -> Any:
        with torch.no_grad():
            output = model(torch.from_numpy(pixels).to(device))
        return output.float().cpu().numpy() if isinstance(output, torch.Tensor) else output

    return network


def _onnx(source: _Source, device: str) -> Network:
    try:
        import onnxruntime
    except ImportError:
        raise EncoderError(
            f"{source.weights} is read by onnxruntime, which is not installed: run `pip install onnxruntime`, or "
            "give the network as TorchScript"
        ) from None
    cuda = "CUDAExecutionProvider"
    on_gpu = device.startswith("cuda") and cuda in onnxruntime.get_available_providers()
    try:
        session = onnxruntime.InferenceSession(
            str(source.weights), providers=[*([cuda] if on_gpu else []), "CPUExecutionProvider"]
        )
    except Exception as problem:
        raise EncoderError(
            f"{source.weights} is no network that onnxruntime can read: {first_line(problem)}"
        ) from problem
    taken = session.get_inputs()[0]
    fixed = taken.shape[0] if isinstance(taken.shape[0], int) else 0  # pictures that it takes at a time

    def network(pixels: np.ndarray) -> Any:
        if not fixed:
            return session.run(None, {taken.name: pixels})[0]
        padded = np.concatenate([pixels, np.zeros((-len(pixels) % fixed, *pixels.shape[1:]), np.float32)])
        parts = [
            session.run(None, {taken.name: padded[n : n + fixed]})[0] for n in range(0, len(padded), fixed)
        ]
        return np.concatenate(parts)[: len(pixels)]

    return network
