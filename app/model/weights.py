"""A checkpoint's files -> the weights of a Qwen2-VL, all of them: what is named otherwise is renamed, the rest refused.

transformers and PEFT fill a layer that a file does not have with random numbers, and pass over what they do not know,
with no more than a warning. A model like that looks like one that was taught.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.model.checkpoint import ModelError
from gallery_store.weights import WRAPPERS, misfit, not_finite, unwrapped

ADAPTER = "adapter_model.safetensors"
_PEFT = "base_model.model."
# Layouts that transformers does not rename by itself.
_LAYOUTS = {
    WRAPPERS: "",
    r"^language_model\.model\.": "model.language_model.",
    r"^language_model\.lm_head\.": "lm_head.",
}


def todays_name(name: str) -> str:
    """A weight's name in the layout of transformers 4.52 and later, without wrappers.

    >>> todays_name("visual.blocks.0.norm1.bias"), todays_name("module.model.layers.0.mlp.up_proj.weight")
    ('model.visual.blocks.0.norm1.bias', 'model.language_model.layers.0.mlp.up_proj.weight')
    """
    for pattern, today in _LAYOUTS.items():
        name = re.sub(pattern, today, name)
    name = re.sub(r"^visual\.", "model.visual.", name)
    return re.sub(r"^model\.(?!(?:language_model|visual)\.)", "model.language_model.", name)


def read_base(spec: str, **options: Any) -> Any:
    """A Qwen2VLForConditionalGeneration of full weights. options: of its from_pretrained. Raises ModelError."""
    from transformers import Qwen2VLForConditionalGeneration

    names = _names(Path(spec))
    if any("lora_" in name or ".base_layer." in name for name in names):
        raise ModelError(
            f"{spec} holds an adapter inside whole weights; merge it (merge_and_unload) before saving, or save the "
            "adapter by itself"
        )
    renamed = any(re.search(pattern, name) for name in names for pattern in _LAYOUTS)
    if renamed:
        options["key_mapping"] = _LAYOUTS
    loaded: Any = Qwen2VLForConditionalGeneration.from_pretrained(
        spec, use_safetensors=True, output_loading_info=True, **options
    )
    model, found = loaded
    if renamed:
        model._weight_conversions = None  # saved again, they have the published names
    _require_fit(spec, found["missing_keys"], found["unexpected_keys"])
    return model


def read_adapter(model: Any, folder: Path, *, trainable: bool = False) -> Any:
    """A PeftModel: the adapter of the folder on the model. Raises ModelError; PEFT has errors of its own."""
    from peft import PeftConfig, PeftModel, get_peft_model_state_dict
    from safetensors.torch import load_file, save_file

    config = PeftConfig.from_pretrained(str(folder))
    state = load_file(folder / ADAPTER)
    renamed = {_adapter_name(name): value for name, value in state.items()}
    if len(renamed) < len(state):
        raise ModelError(f"{folder / ADAPTER} has two weights of one name; save the adapter again")
    with TemporaryDirectory(prefix="chatreid-adapter-") as beside:
        source = folder
        if renamed.keys() != state.keys():
            source = Path(beside)
            save_file(renamed, source / ADAPTER, metadata={"format": "pt"})
            config.target_modules = _todays_targets(config.target_modules, model)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Found missing adapter keys")  # refused below
            tuned = PeftModel.from_pretrained(
                model, str(source), config=config, use_safetensors=True, is_trainable=trainable
            )
    own = set(get_peft_model_state_dict(tuned, save_embedding_layers=False))
    more = set(renamed) - own - set(tuned.state_dict())
    _require_fit(str(folder), own - set(renamed), more)
    return tuned


def require_finite(model: Any, spec: str) -> None:
    """Raises ModelError for weights that are NaN or infinite."""
    if names := not_finite(model.named_parameters()):
        raise ModelError(
            f"{spec} has weights that are not finite numbers ({len(names)}, such as {names[0]}); copy the checkpoint "
            "again, or take one from before its training diverged"
        )


def _require_fit(spec: str, missing: Iterable[str], unknown: Iterable[str]) -> None:
    if why := misfit(set(missing), set(unknown)):
        raise ModelError(
            f"{spec} is not complete, or its configuration is another model's: {why}; copy the checkpoint again, or "
            "save it again with all its weights"
        )


def _names(folder: Path) -> list[str]:
    """Names of all weights in a folder's files; none for a hub name."""
    from safetensors import safe_open

    names: list[str] = []
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="np") as weights:
            names += weights.keys()
    return names


def _adapter_name(name: str) -> str:
    """As PEFT saves it on today's model; the adapter's own name, which a bare state_dict has, is left out."""
    name = re.sub(r"\.(lora_[AB]|lora_embedding_[AB]|lora_magnitude_vector)\.default(?=\.|$)", r".\1", name)
    return _PEFT + todays_name(unwrapped(name))


def _todays_targets(targets: Any, model: Any) -> Any:
    """Which layers an adapter is on. Ends of names stay as they are; whole names and patterns were of older ones."""
    if isinstance(targets, str) and targets != "all-linear":
        older = {name: _older_name(name) for name, _ in model.named_modules()}
        return [today for today, name in older.items() if re.fullmatch(targets, name)]
    if isinstance(targets, (list, set, tuple)):
        return [todays_name(target) for target in targets]
    return targets


def _older_name(name: str) -> str:
    return re.sub(r"^model\.(language_model\.|(?=visual\.))", lambda m: "model." if m[1] else "", name)
