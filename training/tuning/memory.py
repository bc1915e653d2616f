"""What a stage needs in memory and time, by arithmetic alone: no figure here was measured on a GPU.

Weights, gradients and optimizer states follow from the exact parameter counts of the architecture. Activations
are those that gradient checkpointing keeps (the input of every layer) plus the largest layer's own while it is
computed again, plus the logits of the answers. The rest (CUDA's context, fragments) is a flat allowance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch

from training.stages import Stage
from training.tuning.origin import RANK, is_adapter, is_encoder, with_lora

GB = 1e9
CONTEXT = 1.0 * GB  # CUDA's own
FRAGMENTS = 1.1  # the allocator's rounding
VISION_SHARE = 0.8  # of the tokens of a pass
ANSWER_SHARE = 0.1  # of the places of a pass whose logits are kept: answers, and what is beside longer ones
NF4 = 0.5 + 0.127 / 8  # bytes a weight, with its doubly quantised scales

Tuning = Literal["full", "full-light", "lora", "qlora"]
TUNINGS: dict[Tuning, str] = {
    "full": "full, float32 weights, AdamW",
    "full-light": "full, --weights bfloat16 --optimizer adamw-8bit",
    "lora": f"--lora {RANK}, base in bfloat16",
    "qlora": f"--lora {RANK} --four-bit, 8-bit AdamW",
}


@dataclass(frozen=True)
class Sizes:
    """Parameters by part, and the widths that activations follow from."""

    encoder: int
    decoder_linear: int
    decoder_rest: int
    encoder_adapter: int
    decoder_adapter: int
    width: int
    inner: int
    layers: int
    vision_width: int
    vision_inner: int
    vision_layers: int
    vocabulary: int

    @property
    def parameters(self) -> int:
        return self.encoder + self.decoder_linear + self.decoder_rest


@dataclass(frozen=True)
class Estimate:
    """Bytes of one device."""

    weights: float
    gradients: float
    optimizer: float
    activations: float

    @property
    def total(self) -> float:
        return (self.weights + self.gradients + self.optimizer + self.activations) * FRAGMENTS + CONTEXT


def qwen2_vl_2b() -> Any:
    """The configuration of Qwen/Qwen2-VL-2B-Instruct, as published."""
    from transformers import Qwen2VLConfig

    return Qwen2VLConfig(
        text_config={
            "vocab_size": 151936,
            "hidden_size": 1536,
            "intermediate_size": 8960,
            "num_hidden_layers": 28,
            "num_attention_heads": 12,
            "num_key_value_heads": 2,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
        },
        vision_config={"depth": 32, "embed_dim": 1280, "hidden_size": 1536, "num_heads": 16, "mlp_ratio": 4},
        tie_word_embeddings=True,
    )


def sizes(config: Any, rank: int = RANK) -> Sizes:
    """Counted on a model without storage."""
    from transformers import Qwen2VLForConditionalGeneration

    with torch.device("meta"):
        model = Qwen2VLForConditionalGeneration(config)
    counted = {name: p.numel() for name, p in model.named_parameters()}  # tied weights once
    linear = {
        f"{name}.weight" for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)
    } - {"lm_head.weight"}
    encoder = sum(n for name, n in counted.items() if is_encoder(name))
    decoder_linear = sum(n for name, n in counted.items() if name in linear and not is_encoder(name))
    with torch.device("meta"):
        adapted = with_lora(model, rank, seed=0)
    adapters = {name: p.numel() for name, p in adapted.named_parameters() if is_adapter(name)}
    text, vision = config.text_config, config.vision_config
    return Sizes(
        encoder=encoder,
        decoder_linear=decoder_linear,
        decoder_rest=sum(counted.values()) - encoder - decoder_linear,
        encoder_adapter=sum(n for name, n in adapters.items() if is_encoder(name)),
        decoder_adapter=sum(n for name, n in adapters.items() if not is_encoder(name)),
        width=text.hidden_size,
        inner=text.intermediate_size,
        layers=text.num_hidden_layers,
        vision_width=vision.embed_dim,
        vision_inner=int(vision.embed_dim * vision.mlp_ratio),
        vision_layers=vision.depth,
        vocabulary=text.vocab_size,
    )


def estimate(counts: Sizes, stage: Stage, tuning: Tuning, tokens: int) -> Estimate:
    """One device that holds everything, with passes of `tokens` padded tokens and gradient checkpointing."""
    trains_encoder = stage.encoder == "trained"
    if tuning in ("full", "full-light"):
        each, states = (4.0, 8.0) if tuning == "full" else (2.0, 2.0)
        trained = counts.parameters - (0 if trains_encoder else counts.encoder)
        weights = counts.parameters * each
        gradients, optimizer = trained * each, trained * states
    else:
        adapter = counts.decoder_adapter + (counts.encoder_adapter if trains_encoder else 0)
        linear = NF4 if tuning == "qlora" else 2.0
        weights = 2.0 * (counts.encoder + counts.decoder_rest) + linear * counts.decoder_linear
        weights += 4.0 * (counts.encoder_adapter + counts.decoder_adapter)
        gradients, optimizer = 4.0 * adapter, (2.0 if tuning == "qlora" else 8.0) * adapter
    active = activations(counts, tokens, trains_encoder, tuning == "full")
    if tuning == "full":
        active += 2.0 * (counts.encoder + counts.decoder_linear)  # autocast's half-precision copies
    return Estimate(weights, gradients, optimizer, active)


def activations(counts: Sizes, tokens: int, trains_encoder: bool, wide: bool) -> float:
    """Bytes. wide: float32 between layers, as autocast leaves it over float32 weights."""
    between = 4.0 if wide else 2.0
    patches = 4 * VISION_SHARE * tokens
    kept = between * counts.width * counts.layers * tokens
    if trains_encoder:
        kept += between * counts.vision_width * counts.vision_layers * patches
    # Of the layer that is computed again: gate, up, their product and its input; queries, keys, values, the mix
    # and the projection; normalised rows in float32. Half precision elsewhere, and as much again for gradients.
    layer = 2 * tokens * (2.0 * (4 * counts.inner + 6 * counts.width) + 8.0 * counts.width)
    vision_layer = (
        2 * patches * (2.0 * (2 * counts.vision_inner + 6 * counts.vision_width) + 8.0 * counts.vision_width)
    )
    # Half-precision logits, the rows that answer in float32, and the gradient.
    logits = ANSWER_SHARE * tokens * counts.vocabulary * (2.0 + 4.0 + 4.0)
    return kept + max(layer, vision_layer, logits)


def most_tokens(counts: Sizes, stage: Stage, tuning: Tuning, device: float) -> int:
    """The largest pass, in tokens (multiples of 256), that fits into a device of `device` bytes; 0 for none."""
    low, high = 0, 1 << 12
    while low < high:
        middle = (low + high + 1) // 2
        if estimate(counts, stage, tuning, 256 * middle).total <= device:
            low = middle
        else:
            high = middle - 1
    return 256 * low


def tokens_per_second(counts: Sizes, stage: Stage, tuning: Tuning, flops: float) -> float:
    """Tokens a second at `flops` useful operations a second: 2 for each weight and token forward, 4 backward for
    what is trained (2 through what is not), 2 for computing the forward pass again."""
    decoder = counts.decoder_linear + (counts.vocabulary * counts.width) * ANSWER_SHARE
    through = 8.0 if tuning in ("full", "full-light") else 6.0
    seeing = through if stage.encoder == "trained" else 2.0
    each = through * decoder + seeing * counts.encoder * 4 * VISION_SHARE
    return flops / each


def table(counts: Sizes, stage: Stage, devices: tuple[float, ...], flops: float) -> list[str]:
    """Lines of a Markdown table: tuning, its parts at the stage's own tokens, the largest pass by device."""
    tokens = stage.tokens_per_batch
    columns = " | ".join(f"most tokens in {device / GB:.0f} GB" for device in devices)
    lines = [
        f"| stage {stage.number}, {tokens:,} tokens a pass | weights | gradients | optimizer | activations | all, GB"
        f" | {columns} | tokens/s |",
        "|---" * (7 + len(devices)) + "|",
    ]
    for tuning, words in TUNINGS.items():
        needs = estimate(counts, stage, tuning, tokens)
        parts = (needs.weights, needs.gradients, needs.optimizer, needs.activations, needs.total)
        most = [most_tokens(counts, stage, tuning, device) for device in devices]
        lines.append(
            f"| {words} | "
            + " | ".join(f"{part / GB:.1f}" for part in parts)
            + " | "
            + " | ".join(f"{count:,}" if count >= 256 else "does not fit" for count in most)
            + f" | {tokens_per_second(counts, stage, tuning, flops):,.0f} |"
        )
    return lines
