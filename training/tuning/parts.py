"""The two parts of a Qwen2-VL: the encoder (vision tower with its merger) and the decoder (all the rest)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from app.model.checkpoint import ModelError
from training.stages import Stage


def is_encoder(name: str) -> bool:
    """Whether a parameter of this name belongs to the encoder, whatever wraps the model.

    >>> is_encoder("model.visual.merger.mlp.0.weight"), is_encoder("model.language_model.norm.weight")
    (True, False)
    """
    return "visual" in name.split(".")


def is_adapter(name: str) -> bool:
    """Whether a parameter of this name is LoRA's."""
    return "lora_" in name


def encoder_of(model: Any) -> nn.Module:
    """The vision tower with its merger, of a bare model or of one with an adapter."""
    bare = model.get_base_model() if hasattr(model, "get_base_model") else model
    return bare.model.visual


def decoder_of(model: Any) -> nn.Module:
    """The language model (without its head, which is tied or a part by itself)."""
    bare = model.get_base_model() if hasattr(model, "get_base_model") else model
    return bare.model.language_model


def take_decoder(model: Any, base: Any) -> None:
    """Stage 2's switch, with full weights: all but the encoder becomes the base's. Raises ModelError."""
    own, fresh = model.config.text_config, base.config.text_config
    for name in ("hidden_size", "num_hidden_layers", "vocab_size", "intermediate_size"):
        if getattr(own, name) != getattr(fresh, name):
            raise ModelError(
                f"the base's decoder does not fit the encoder carried over: {name} is {getattr(fresh, name)},"
                f" and was {getattr(own, name)}; give the base that stage 1 started from"
            )
    model.model.language_model.load_state_dict(base.model.language_model.state_dict())
    model.lm_head.load_state_dict(base.lm_head.state_dict())
    model.tie_weights()


def set_trained(model: nn.Module, stage: Stage, *, lora: bool) -> None:
    """Switch gradients: of the stage's parts, and with LoRA of the adapter alone."""
    for name, parameter in model.named_parameters():
        wanted = (stage.encoder == "trained" or not is_encoder(name)) and (not lora or is_adapter(name))
        # 4-bit weights are whole numbers, which have no gradient.
        parameter.requires_grad_(wanted and parameter.is_floating_point())


def trained_names(model: nn.Module) -> list[str]:
    """Names of the parameters that have gradients, in the model's order."""
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def counts(model: nn.Module) -> dict[str, int]:
    """Numbers of parameters: "encoder trained", "encoder frozen", "decoder trained", "decoder frozen"."""
    found = {f"{part} {state}": 0 for part in ("encoder", "decoder") for state in ("trained", "frozen")}
    for name, parameter in model.named_parameters():
        part = "encoder" if is_encoder(name) else "decoder"
        found[f"{part} {'trained' if parameter.requires_grad else 'frozen'}"] += _numel(parameter)
    return found


def _numel(parameter: torch.Tensor) -> int:
    """Weights in a parameter; NF4 holds two in a byte."""
    packed = getattr(parameter, "quant_state", None) is not None
    return parameter.numel() * (2 if packed else 1)


def adapters(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """(name, module) of every layer that carries a LoRA."""
    for name, module in model.named_modules():
        if hasattr(module, "lora_A") and hasattr(module, "reset_lora_parameters"):
            yield name, module
