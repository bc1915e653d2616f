"""What a checkpoint's model card says of its confidences."""

from __future__ import annotations

from pathlib import Path

from app.model.checkpoint import CheckpointManifest
from gallery_store.files import write_file

NOTED = "Its confidences are"  # how the line begins


def calibration_note(manifest: CheckpointManifest) -> str:
    """The card's line on confidences."""
    if manifest.calibrations:
        return f"{NOTED} calibrated for {', '.join(sorted(manifest.calibrations))}."
    return (
        f"{NOTED} **not calibrated** yet: the app serves it uncalibrated, and says so. `python -m training calibrate "
        "--model DIR --clip CLIP` with `--data NAME --root DIR` or `--gallery FILE` calibrates it, on people that it "
        "was not tuned on."
    )


def note_in_card(card: Path, manifest: CheckpointManifest) -> None:
    """Bring a card's line up to date, where there is a card with such a line."""
    if card.is_file():
        lines = card.read_text("utf-8").splitlines()
        told = [calibration_note(manifest) if line.startswith(NOTED) else line for line in lines]
        if told != lines:
            write_file(card, "\n".join([*told, ""]))
