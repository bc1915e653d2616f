"""Where the models run, by the settings: in this process, on a Ray Serve, or behind somebody's server."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from app.settings import OPENAI, RAY, Settings
from gallery_store.console import remark

if TYPE_CHECKING:
    from app.model.asked import AskedModel
    from gallery_store.encoder import WordEncoder


def serve_models(settings: Settings, device: str) -> Settings:
    """With --serve ray, start a Ray with the models, which ends with this process; the settings that lead there.

    Raises ModelError: there is no Ray, or a model cannot be loaded.
    """
    if not settings.serve:
        return settings
    from app.model.served.local import start

    remark(f"Starting a Ray with {settings.replicas} of the model")
    address = start(
        model=settings.model,
        clip=settings.clip,
        replicas=settings.replicas,
        device=device,
        four_bit=settings.four_bit,
        token_cache=settings.token_cache,
    ).address
    return replace(settings, serve="", clip=address, model=address if settings.has_model else settings.model)


def open_clip(settings: Settings, device: str) -> WordEncoder:
    """Raises EncoderError."""
    if settings.clip.startswith(RAY):
        from app.model.served.clip import ServedClip

        return ServedClip.connect(settings.clip)
    from gallery_store.encoder import ClipEncoder

    return ClipEncoder.load(settings.clip, device=device)


def open_model(settings: Settings, device: str) -> AskedModel | None:
    """None where CLIP searches alone. Raises ModelError."""
    if not settings.has_model:
        return None
    if settings.model.startswith(RAY):
        from app.model.served.reid import ServedModel

        return ServedModel.connect(settings.model)
    if settings.model.startswith(OPENAI):
        from app.model.openai_model import OpenAiModel

        remark(
            "Of a model server come its Yes or No and words of its own; no attributes, best choice or calibration"
        )
        return OpenAiModel.connect(settings.model)
    from app.model.reid_model import ReidModel
    from app.model.token_budget import TokenBudget

    tokens = TokenBudget(settings.token_cache_bytes)
    return ReidModel.load(settings.model, device=device, four_bit=settings.four_bit, tokens=tokens)
