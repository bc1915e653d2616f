"""Stage 1, person attribute understanding: the paper's captioning task (section 3.1.1)."""

from __future__ import annotations

import numpy as np

from app.model.prompts import caption_prompt
from training.instructions.sample import InstructionSample, Source, Task
from training.synthetic.captions import caption


def image_caption(source: Source, rng: np.random.Generator) -> InstructionSample:
    """The paper's question about one crop; the answer tells all that shows."""
    row = source.crop(rng)
    return InstructionSample(
        "caption",
        caption_prompt(),
        (row,),
        caption(source.pool.seen(row), rng, canonical=0.7).capitalize() + ".",
    )


MIXTURE: dict[str, tuple[Task, float]] = {"caption": (image_caption, 1.0)}
