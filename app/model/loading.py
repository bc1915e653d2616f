"""A checkpoint's folder or hub name -> a model ready to be asked. Safetensors only, no remote code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.model.checkpoint import ModelError
from app.model.digests import check_weight_files
from app.model.weights import read_adapter, read_base, require_finite
from gallery_store.errors import first_line
from gallery_store.torchvision_mend import mend_torchvision

MODEL_TYPE = "qwen2_vl"


@dataclass(frozen=True)
class Checkpoint:
    """Where a model comes from. base: folder or hub name of full weights; adapter: a PEFT folder or None."""

    spec: str
    base: str
    adapter: Path | None = None

    @property
    def folder(self) -> Path | None:
        """The folder that may hold a manifest: the adapter's, else the base's where it is one."""
        return self.adapter or (Path(self.base) if Path(self.base).is_dir() else None)


def find_checkpoint(spec: str | Path) -> Checkpoint:
    """Check what can be checked without loading weights.

    Args:
        spec: a folder (full weights, or a PEFT adapter), or a hub name such as "Qwen/Qwen2-VL-2B-Instruct".

    Raises:
        ModelError: no such folder, not a Qwen2-VL, or weights that are not safetensors.
    """
    folder = Path(spec).expanduser()
    if not folder.is_dir():
        name = str(spec)
        parts = name.split("/")
        if isinstance(spec, Path) or len(parts) != 2 or not all(parts) or name.startswith((".", "~")):
            raise ModelError(
                f"there is no checkpoint folder {spec}; give a folder, or a hub name such as"
                " Qwen/Qwen2-VL-2B-Instruct"
            )
        return Checkpoint(name, name)
    if (folder / "adapter_config.json").is_file():
        return _adapter(folder)
    config = _json(folder / "config.json")
    if config.get("model_type") != MODEL_TYPE:
        raise ModelError(
            f"{folder} is a {config.get('model_type')!r} checkpoint; ChatReID works with Qwen2-VL"
        )
    _require_safetensors(folder)
    return Checkpoint(str(spec), str(folder))


def _adapter(folder: Path) -> Checkpoint:
    base = _json(folder / "adapter_config.json").get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise ModelError(
            f"{folder} does not name its base model; add base_model_name_or_path to adapter_config.json"
        )
    _require_safetensors(folder)
    # An adapter and its base may travel together: a relative base is looked for beside the adapter first.
    beside = folder / base
    found = find_checkpoint(beside if beside.is_dir() else base)
    if found.adapter:
        raise ModelError(f"{folder} is an adapter on another adapter; merge the inner one first")
    return Checkpoint(str(folder), found.base, folder)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path.parent} is not a checkpoint folder: it has no {path.name}") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({error}); copy the checkpoint again") from None
    if not isinstance(found, dict):
        raise ModelError(f"{path} is damaged; copy the checkpoint again")
    return found


def _require_safetensors(folder: Path) -> None:
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"{folder} has no .safetensors weights; other formats can run code and are not loaded"
        )


def load_model(
    checkpoint: Checkpoint, *, device: str = "cpu", four_bit: bool = False, float32: bool = False
) -> tuple[Any, Any]:
    """(model, processor), in eval mode on the device: float32 on a CPU or if asked, else bfloat16 (or float16).

    four_bit: as load_weights has it.

    Raises:
        ModelError: what went wrong, and what to do.
    """
    mend_torchvision()
    import torch
    from transformers import AutoProcessor

    try:
        dtype = torch.float32 if float32 else _dtype(torch, device)
        model = load_weights(checkpoint, dtype, device=device, four_bit=four_bit)
        processor = AutoProcessor.from_pretrained(checkpoint.base, trust_remote_code=False)
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"{checkpoint.spec} does not fit into the memory of {device}; load it in 4 bit, or a smaller one"
        ) from error
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"{checkpoint.spec} cannot be loaded: {first_line(error)}") from error
    return model.eval().requires_grad_(False), processor


def load_weights(
    checkpoint: Checkpoint | str | Path,
    dtype: Any,
    *,
    device: str | None = None,
    four_bit: bool = False,
    double_quant: bool = False,
) -> Any:
    """A Qwen2VLForConditionalGeneration, with the checkpoint's adapter in it.

    Args:
        checkpoint: itself, or its folder or hub name.
        dtype: torch's, of the weights, or of the arithmetic where they are in 4 bit.
        device: where they go; None leaves it to transformers.
        four_bit: NF4 weights for the language model; the vision tower keeps its precision, since small
            differences between people are read there. double_quant: the scales of NF4 in 8 bit too.

    Raises:
        ModelError: what went wrong. torch.OutOfMemoryError.
    """
    mend_torchvision()
    import torch

    if not isinstance(checkpoint, Checkpoint):
        checkpoint = find_checkpoint(checkpoint)
    for folder in filter(None, (checkpoint.adapter, Path(checkpoint.base))):
        if folder.is_dir():
            check_weight_files(folder)
    options: dict[str, Any] = {} if device is None else {"device_map": {"": device}}
    if four_bit:
        from transformers import BitsAndBytesConfig

        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=double_quant,
            bnb_4bit_compute_dtype=dtype,
            llm_int8_skip_modules=["model.visual", "lm_head"],
        )
    try:
        model: Any = read_base(checkpoint.base, dtype=dtype, **options)
        if four_bit:
            mend_four_bit(model)
        if checkpoint.adapter:
            tuned = read_adapter(model, checkpoint.adapter)
            # Merged, it runs at the base's speed. Into 4-bit weights a merge would round the adapter away.
            model = tuned.get_base_model() if four_bit else tuned.merge_and_unload()
    except (torch.OutOfMemoryError, ModelError):
        raise
    except Exception as error:  # each layer below has its own errors
        raise ModelError(f"{checkpoint.spec} cannot be loaded: {first_line(error)}") from error
    model.tie_weights()
    require_finite(model, checkpoint.spec)
    return model


def _dtype(torch: Any, device: str) -> Any:
    if device == "cpu":
        return torch.float32
    if device.startswith("cuda") and not torch.cuda.is_bf16_supported():
        return torch.float16
    return torch.bfloat16


BLOCK, ROWS = 64, 32  # of a row's weights that share a scale; of rows that are packed together


def mend_four_bit(model: Any) -> None:
    """Keep the layers of a quantized model unpacked that could not be packed on CPUs with AVX512-BF16.

    There bitsandbytes 0.50 packs a layer's weights at its first use, and fails for shapes that its blocks do not
    divide ("shape '[64, 2]' is invalid for input of size 160").
    """
    from bitsandbytes.nn import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit) and (module.in_features % BLOCK or module.out_features % ROWS):
            module.support_avx512bf16_for_cpu = False
