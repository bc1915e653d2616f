"""Stage 1, person attribute understanding: the paper's captioning task (section 3.1.1)."""

from __future__ import annotations

from app.model.prompts import caption_prompt, clean_text
from training.instructions.sample import Draw, InstructionSample, Task


def caption(draw: Draw) -> InstructionSample | None:
    """The paper's question about one crop; the answer tells all that shows."""
    row = draw.source.told(draw.data_set, draw.chance)
    if row is None:
        return None
    text = clean_text(draw.tell.whole(row, draw.chance), limit=None)
    answer = text[:1].upper() + text[1:]
    return InstructionSample(
        "caption", caption_prompt(), (row,), answer if answer.endswith((".", "!", "?")) else answer + "."
    )


TASKS: dict[str, Task] = {"caption": caption}
