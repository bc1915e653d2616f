"""Words that stand on every page: which model answers, what it can do, and how to use the results."""

from __future__ import annotations

from html import escape
from pathlib import Path

from app.retrieval.engine import Engine

UNCALIBRATED = "Uncalibrated checkpoint: confidences are not probabilities."


def header_html(engine: Engine) -> str:
    """Name, gallery and the model in use, with a plain word when its answers need caution."""
    return (
        '<div class="cr-header"><h1>ChatReID</h1>'
        f"<p>{engine.store.count():,} crops, {len(engine.store.cameras())} cameras</p>"
        f'<p class="cr-model">{model_html(engine)}</p></div>'
    )


def model_html(engine: Engine) -> str:
    """The model's name and what it knows, or that its confidences are not calibrated."""
    if engine.model is None:
        return '<b>CLIP alone</b> <span class="cr-caution">No model reads the candidates.</span>'
    name, manifest = f"<b>{escape(shown_name(engine.model.name))}</b>", engine.model.manifest
    if manifest is None:
        return f'{name} <span class="cr-caution">{UNCALIBRATED}</span>'
    knows = manifest.knows.strip().rstrip(".")
    return f'{name} <span class="cr-caution">Knows {escape(knows)}.</span>' if knows else name


def shown_name(name: str) -> str:
    """A model's name without the folders above it: those are nobody's business."""
    return Path(name).name if Path(name).is_absolute() else name


def guide_html(engine: Engine) -> str:
    """How a search works, what the figures mean, and what is asked of whoever searches."""
    return f"""<div class="cr-sheet">
<h2>How a search works</h2>
<p>Your words are read into attributes; what was understood stands above the candidates, and each part can be
removed. CLIP picks the crops that are near to your words or pictures, at most {engine.k} of them. The model
then looks at each one and says whether it fits; its answer and the CLIP similarity give the confidence.</p>
<h2>What the figures mean</h2>
<p>A confidence says how often a candidate with such scores was the right person among the people that the
model was checked on. It is not evidence. Candidates marked <b>weak</b> lie below what usually fits.
The model in use: {model_html(engine)}</p>
<h2>Responsible use</h2>
<p>A result is a candidate, never an identity. Look at the picture yourself, and confirm by other means before
anyone is stopped, accused or followed. Search only where you have a lawful reason, for crops that you may
process, and no longer than needed. The system describes clothes and things carried; it is not made to search
by skin colour, origin or belief. It errs more for people and cameras unlike those it was taught on.</p>
<p>Each search is recorded in the gallery: time, user, the reason given, the query, and which candidates were
shown.</p>
</div>"""
