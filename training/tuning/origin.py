"""What a stage starts from: the base model, or the stage before, with its parts carried over, switched and frozen.

A Qwen2-VL has two parts: the encoder (vision tower with its merger) and the decoder (all the rest). LoRA is one
adapter on both, which goes through all three stages. It always stands on the base model, so that it stays small
and the base may be in 4 bit: stage 2's fresh decoder is then the base's own, and its part of the adapter starts
anew, at nothing; stage 3 freezes the encoder's part where stage 2 left it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from app.model.checkpoint import CheckpointManifest, ModelError
from app.model.digests import START
from app.model.loading import find_checkpoint, load_weights
from app.model.pictures import RUN_TIME, ImageRule
from app.model.weights import read_adapter, require_finite
from gallery_store.errors import first_line
from gallery_store.files import replacing_folder
from gallery_store.torchvision_mend import mend_torchvision
from training.stages import Stage

RANK = 64
ALPHA_PER_RANK = 2
PARTS = ("decoder", "merger", "vision")  # that may have learning rates of their own
# Every linear layer of the blocks and the merger. The patch embedding (a convolution), the word embeddings
# and the head keep the base's weights.
TARGETS = (
    r".*visual\.blocks\.\d+\.(attn\.(qkv|proj)|mlp\.(fc1|fc2))"
    r"|.*visual\.merger\.mlp\.(0|2)"
    r"|.*language_model\.layers\.\d+\.(self_attn\.(q_proj|k_proj|v_proj|o_proj)|mlp\.(gate_proj|up_proj|down_proj))"
)


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
        model = load_weights(before, dtype)
        if stage.decoder == "fresh" and origin.before is not None:
            take_decoder(model, load_weights(_known(origin.base), dtype))
        base = before
    elif adapter is not None:
        base = find_checkpoint(before).base
        if stage.decoder == "fresh" and not _same_model(base, _known(origin.base)):
            raise ModelError(
                f"{before} is an adapter on {base}, and --base is {origin.base}; its decoder can only be the base's"
            )
        model = _continued(_load_under_adapter(base, origin, dtype, device), adapter, origin.lora)
        if stage.decoder == "fresh":
            fresh_decoder(model, seed=seed)
    else:
        base = before
        if stage.decoder == "fresh" and origin.before is not None:
            base = str(_compose(before, _known(origin.base), work / START, dtype))
        bare = _load_under_adapter(base, origin, dtype, device)
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


def kept_rule(spec: str | None) -> ImageRule | None:
    """The one size that a checkpoint was taught to see all pictures at: its tower knows no other, so stages that go on
    from it keep it. None for any other checkpoint."""
    try:
        folder = find_checkpoint(spec).folder if spec is not None else None
    except ModelError:
        return None  # Origin.check says it
    manifest = CheckpointManifest.read(folder) if folder else None
    # A rule of RUN_TIME's name does not say how it was taught.
    known = manifest is not None and not manifest.image_rule.name.startswith(RUN_TIME.name)
    return manifest.image_rule if manifest and known and manifest.image_rule.fixed else None


def known_vocabulary(spec: str | None) -> int | None:
    """The version of the attribute vocabulary that a checkpoint was taught; None for one that tells of none."""
    try:
        folder = find_checkpoint(spec).folder if spec is not None else None
    except ModelError:
        return None  # Origin.check says it
    manifest = CheckpointManifest.read(folder) if folder else None
    return manifest.vocabulary_version if manifest else None


def load_processor(spec: str) -> Any:
    """A checkpoint's processor; an adapter's own, or else its base's. Raises ModelError."""
    mend_torchvision()
    from transformers import AutoProcessor

    checkpoint = find_checkpoint(spec)
    has_own = checkpoint.adapter is not None and (checkpoint.adapter / "tokenizer_config.json").is_file()
    try:
        return AutoProcessor.from_pretrained(
            str(checkpoint.adapter) if has_own else checkpoint.base, trust_remote_code=False
        )
    except Exception as error:
        raise ModelError(f"the processor of {spec} cannot be loaded: {first_line(error)}") from error


def take_decoder(model: Any, base: Any) -> None:
    """Stage 2's switch, with full weights: all but the encoder becomes the base's. Raises ModelError."""
    carried, fresh = model.config.text_config, base.config.text_config
    for name in ("hidden_size", "num_hidden_layers", "vocab_size", "intermediate_size"):
        if getattr(carried, name) != getattr(fresh, name):
            raise ModelError(
                f"the base's decoder does not fit the encoder carried over: {name} is {getattr(fresh, name)},"
                f" and was {getattr(carried, name)}; give the base that stage 1 started from"
            )
    model.model.language_model.load_state_dict(base.model.language_model.state_dict())
    model.lm_head.load_state_dict(base.lm_head.state_dict())
    model.tie_weights()


def fresh_decoder(model: Any, *, seed: int) -> None:
    """Stage 2's switch, with LoRA: the decoder's part of the adapter starts anew, so the decoder is the base's."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, module in adapters(model):
            if not is_encoder(name):
                layer: Any = module
                layer.reset_lora_parameters("default", True)


def with_lora(model: Any, rank: int, *, seed: int, dropout: float = 0.0) -> Any:
    """The model with a fresh adapter, which changes nothing yet."""
    from peft import LoraConfig, get_peft_model

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return get_peft_model(
            model,
            LoraConfig(
                r=rank,
                lora_alpha=rank * ALPHA_PER_RANK,
                lora_dropout=dropout,
                target_modules=TARGETS,
                task_type="CAUSAL_LM",
            ),
        )


def set_trained(model: nn.Module, stage: Stage, *, lora: bool) -> None:
    """Switch gradients: of the stage's parts, and with LoRA of the adapter alone."""
    for name, parameter in model.named_parameters():
        wanted = (stage.encoder == "trained" or not is_encoder(name)) and (not lora or is_adapter(name))
        # 4-bit weights are whole numbers, which have no gradient.
        parameter.requires_grad_(wanted and parameter.is_floating_point())


def counts(model: nn.Module) -> dict[str, int]:
    """Numbers of parameters: "encoder trained", "encoder frozen", "decoder trained", "decoder frozen"."""
    numbers = {f"{part} {state}": 0 for part in ("encoder", "decoder") for state in ("trained", "frozen")}
    for name, parameter in model.named_parameters():
        part = "encoder" if is_encoder(name) else "decoder"
        numbers[f"{part} {'trained' if parameter.requires_grad else 'frozen'}"] += _numel(parameter)
    return numbers


def is_encoder(name: str) -> bool:
    """Whether a parameter of this name belongs to the encoder, whatever wraps the model.

    >>> is_encoder("model.visual.merger.mlp.0.weight"), is_encoder("model.language_model.norm.weight")
    (True, False)
    """
    return "visual" in name.split(".")


def part_of(name: str) -> str:
    """Which of PARTS a parameter of this name belongs to, whatever wraps the model.

    >>> part_of("model.visual.merger.mlp.0.weight"), part_of("model.visual.blocks.0.attn.qkv.weight")
    ('merger', 'vision')
    """
    if not is_encoder(name):
        return "decoder"
    return "merger" if "merger" in name.split(".") else "vision"


def is_adapter(name: str) -> bool:
    """Whether a parameter of this name is LoRA's."""
    return "lora_" in name


def adapters(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """(name, module) of every layer that carries a LoRA."""
    for name, module in model.named_modules():
        if hasattr(module, "lora_A") and hasattr(module, "reset_lora_parameters"):
            yield name, module


def _numel(parameter: torch.Tensor) -> int:
    """Weights in a parameter; NF4 holds two in a byte."""
    packed = getattr(parameter, "quant_state", None) is not None
    return parameter.numel() * (2 if packed else 1)


def _continued(model: Any, folder: Path, rank: int) -> Any:
    saved_rank = json.loads((folder / "adapter_config.json").read_text("utf-8")).get("r")
    if saved_rank != rank:
        raise ModelError(f"{folder} is an adapter of rank {saved_rank}; go on with --lora {saved_rank}")
    try:
        tuned = read_adapter(model, folder, trainable=True)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"{folder} cannot be loaded: {first_line(error)}") from error
    require_finite(tuned, str(folder))
    return tuned


def _compose(before: str, base: str, folder: Path, dtype: torch.dtype) -> Path:
    """Full weights: the stage before's encoder with the base's decoder."""
    if not (folder / "config.json").is_file():
        model = load_weights(before, dtype)
        take_decoder(model, load_weights(base, dtype))
        with replacing_folder(folder) as partial:
            model.save_pretrained(partial)
            load_processor(before).save_pretrained(partial)
    return folder


def _load_under_adapter(base: str, origin: Origin, dtype: torch.dtype, device: str) -> Any:
    """Full weights for an adapter to stand on, in 4 bit where asked."""
    if not origin.four_bit:
        return load_weights(base, dtype)
    return load_weights(base, dtype, device=device, four_bit=True, double_quant=True)


def _same_model(one: str, other: str) -> bool:
    if Path(one).is_dir() and Path(other).is_dir():
        return Path(one).resolve() == Path(other).resolve()
    return one == other


def _known(spec: str | None) -> str:
    assert spec is not None  # Origin.check has seen to it
    return spec
