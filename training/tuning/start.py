"""What a stage starts from: the base model, or the stage before with its parts carried over or switched."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from app.model.checkpoint import CheckpointManifest, ModelError
from app.model.loading import find_checkpoint
from gallery_store.torchvision_mend import mend_torchvision
from training.stages import Stage
from training.tuning.lora import four_bit_options, fresh_decoder, with_lora
from training.tuning.parts import set_trained, take_decoder

START = "start"  # folder beside an adapter: full weights that only exist as its base


@dataclass(frozen=True)
class Origin:
    """Where weights come from. base: a checkpoint's folder or hub name; before: the stage before, or None.

    lora: rank, or None for full tuning. four_bit: NF4 weights under the adapter.
    """

    base: str | None
    before: str | None = None
    lora: int | None = None
    four_bit: bool = False

    def check(self, stage: Stage) -> None:
        """What can be checked without loading weights. Raises ModelError."""
        if self.base is None and (self.before is None or stage.decoder == "fresh"):
            raise ModelError(
                f"stage {stage.number} needs --base, such as Qwen/Qwen2-VL-2B-Instruct"
                + (": its decoder is taken from there" if self.before else "")
            )
        if stage.number == 1 and self.before is not None:
            raise ModelError("stage 1 starts from --base alone; --from is for stages 2 and 3")
        if self.lora is not None and self.lora < 1:
            raise ModelError(f"--lora takes a rank of 1 or more, not {self.lora}")
        if self.four_bit and self.lora is None:
            raise ModelError(
                "4-bit weights cannot be trained themselves; add --lora, or leave --four-bit out"
            )
        for spec in (self.base, self.before):
            if spec is not None:
                find_checkpoint(spec)
        if stage.decoder == "fresh" and self.base is not None and find_checkpoint(self.base).adapter:
            raise ModelError(f"{self.base} is an adapter; --base takes the model that it stands on")


@dataclass(frozen=True)
class Loaded:
    """A model ready to be tuned: only the stage's parameters have gradients. base: what an adapter stands on."""

    model: Any
    processor: Any
    base: str


def load_start(
    stage: Stage, origin: Origin, work: Path, *, dtype: torch.dtype, seed: int, device: str = "cpu"
) -> Loaded:
    """Load what a stage starts from, switch its parts, freeze its parts.

    Args:
        work: the run's folder; full weights that an adapter needs and nobody has are written to work/start.
        dtype: of the weights. seed: of a fresh adapter.

    Raises:
        ModelError: what cannot be used, and what to do.
    """
    origin.check(stage)
    before = origin.before or origin.base
    assert before is not None
    adapter = find_checkpoint(before).adapter
    if origin.lora is None:
        model = load_full(before, dtype)
        if stage.decoder == "fresh" and origin.before is not None:
            take_decoder(model, load_full(_known(origin.base), dtype))
        base = before
    elif adapter is not None:
        base = find_checkpoint(before).base
        if stage.decoder == "fresh" and not _same_model(base, _known(origin.base)):
            raise ModelError(
                f"{before} is an adapter on {base}, and --base is {origin.base}; its decoder can only be the base's"
            )
        model = _continued(load_full(base, dtype, **_options(origin, dtype, device)), adapter, origin.lora)
        if stage.decoder == "fresh":
            fresh_decoder(model, seed=seed)
    else:
        base = before
        if stage.decoder == "fresh" and origin.before is not None:
            base = str(_compose(before, _known(origin.base), work / START, dtype))
        bare = load_full(base, dtype, **_options(origin, dtype, device))
        model = with_lora(bare, origin.lora, seed=seed)
    set_trained(model, stage, lora=origin.lora is not None)
    return Loaded(model, load_processor(before), base)


def base_name(origin: Origin) -> str:
    """The model that the whole chain of stages started from, as the manifest and the card name it."""
    if origin.before is not None:
        folder = find_checkpoint(origin.before).folder
        manifest = CheckpointManifest.read(folder) if folder else None
        if manifest is not None:
            return manifest.base_model
    return _known(origin.base or origin.before)


def load_full(spec: str, dtype: torch.dtype, **options: Any) -> Any:
    """The full weights of a checkpoint, an adapter merged into its base. Raises ModelError."""
    mend_torchvision()
    from transformers import Qwen2VLForConditionalGeneration

    found = find_checkpoint(spec)
    try:
        model: Any = Qwen2VLForConditionalGeneration.from_pretrained(
            found.base, dtype=dtype, use_safetensors=True, **options
        )
        if found.adapter is not None:
            from peft import PeftModel

            tuned: Any = PeftModel.from_pretrained(model, str(found.adapter), use_safetensors=True)
            model = tuned.merge_and_unload()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # each layer below has its own errors
        raise ModelError(f"{spec} cannot be loaded: {_first_line(error)}") from error
    model.tie_weights()
    return model


def load_processor(spec: str) -> Any:
    """A checkpoint's processor; an adapter's own, or else its base's. Raises ModelError."""
    mend_torchvision()
    from transformers import AutoProcessor

    found = find_checkpoint(spec)
    own = found.adapter is not None and (found.adapter / "tokenizer_config.json").is_file()
    try:
        return AutoProcessor.from_pretrained(
            str(found.adapter) if own else found.base, trust_remote_code=False
        )
    except Exception as error:
        raise ModelError(f"the processor of {spec} cannot be loaded: {_first_line(error)}") from error


def _continued(model: Any, folder: Path, rank: int) -> Any:
    from peft import PeftModel

    own = json.loads((folder / "adapter_config.json").read_text("utf-8")).get("r")
    if own != rank:
        raise ModelError(f"{folder} is an adapter of rank {own}; go on with --lora {own}")
    try:
        return PeftModel.from_pretrained(model, str(folder), use_safetensors=True, is_trainable=True)
    except Exception as error:
        raise ModelError(f"{folder} cannot be loaded: {_first_line(error)}") from error


def _compose(before: str, base: str, folder: Path, dtype: torch.dtype) -> Path:
    """Full weights: the stage before's encoder with the base's decoder."""
    if not (folder / "config.json").is_file():
        model = load_full(before, dtype)
        take_decoder(model, load_full(base, dtype))
        partial = folder.with_name(folder.name + ".partial")
        model.save_pretrained(partial)
        load_processor(before).save_pretrained(partial)
        partial.replace(folder)
    return folder


def _options(origin: Origin, dtype: torch.dtype, device: str) -> dict[str, Any]:
    return {**four_bit_options(dtype), "device_map": {"": device}} if origin.four_bit else {}


def _same_model(one: str, other: str) -> bool:
    if Path(one).is_dir() and Path(other).is_dir():
        return Path(one).resolve() == Path(other).resolve()
    return one == other


def _known(spec: str | None) -> str:
    assert spec is not None  # Origin.check has seen to it
    return spec


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
