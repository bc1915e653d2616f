"""LoRA on a Qwen2-VL: one adapter on encoder and decoder, which goes through all three stages.

The adapter always stands on the base model, so that it stays small and the base may be in 4 bit. Stage 2's
fresh decoder is then the base's own: its part of the adapter starts anew, at nothing. Stage 3 freezes the
encoder's part where stage 2 left it.
"""

from __future__ import annotations

from typing import Any

import torch

from training.tuning.parts import adapters, is_encoder

RANK = 64
ALPHA_PER_RANK = 2

# Every linear layer of the blocks and the merger. The patch embedding (a convolution), the word embeddings
# and the head keep the base's weights.
TARGETS = (
    r".*visual\.blocks\.\d+\.(attn\.(qkv|proj)|mlp\.(fc1|fc2))"
    r"|.*visual\.merger\.mlp\.(0|2)"
    r"|.*language_model\.layers\.\d+\.(self_attn\.(q_proj|k_proj|v_proj|o_proj)|mlp\.(gate_proj|up_proj|down_proj))"
)
# What NF4 leaves in the base's own precision (as app.model.loading does): small differences between people are
# read in the encoder.
UNQUANTIZED = ["model.visual", "lm_head"]


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


def fresh_decoder(model: Any, *, seed: int) -> None:
    """Stage 2's switch, with LoRA: the decoder's part of the adapter starts anew, so the decoder is the base's."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, module in adapters(model):
            if not is_encoder(name):
                layer: Any = module
                layer.reset_lora_parameters("default", True)


def four_bit_options(dtype: torch.dtype) -> dict[str, Any]:
    """Options of from_pretrained for NF4 weights (QLoRA)."""
    from transformers import BitsAndBytesConfig

    return {
        "quantization_config": BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
            llm_int8_skip_modules=UNQUANTIZED,
        )
    }
