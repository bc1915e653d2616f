"""The three stages of hierarchical progressive tuning (section 3.1), side by side.

What the paper states is marked with its section. What it leaves to an unpublished supplement (rates, batch
sizes, schedules) is ours, and docs/training.md says so.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from app.model.pictures import STAGE_1, STAGE_2, STAGE_3, ImageRule
from training.instructions.mixtures import STAGE1, STAGE2, STAGE3, StageMixture

Average = Literal["samples", "tokens"]
# transformers' names; those left out want figures of an evaluation.
SCHEDULES = (
    "linear",
    "cosine",
    "cosine_with_restarts",
    "cosine_with_min_lr",
    "polynomial",
    "constant",
    "constant_with_warmup",
    "inverse_sqrt",
    "warmup_stable_decay",
)


@dataclass(frozen=True)
class Stage:
    """One stage's recipe.

    encoder: whether the vision tower is trained; the merger (its last layers, which bring vision tokens to the
    decoder's width) always goes with it. decoder: "carried over" from the stage before, or "fresh" from the
    base model; it is trained in every stage.
    image_rule: sizes of pictures, (height, width) in pixels. mixture: what is asked, in which shares, with how
    many look-alikes and galleries without a match, and how many samples, each learnt from once.
    learning_rate: peak, of full tuning; lora_rate: of LoRA's. vision_rate, merger_rate: of the tower's blocks and
    of the merger, with LoRA too; None for the stage's. schedule: of SCHEDULES; warmup: share of
    the steps. samples_per_step: samples between two updates of the weights, on all devices together.
    tokens_per_batch: padded tokens that one device takes in one forward pass; an update adds up as many passes
    as its samples need.
    average: "samples": a sample's loss is the mean over its answer's tokens and a step's the mean over its
    samples, so that a task weighs what the mixture says, however long its answers; "tokens": each answer
    token weighs the same.
    packed_share: share of the steps that are packed lists (training.packed); 0 is the paper.
    """

    number: int
    title: str
    encoder: Literal["trained", "frozen"]
    decoder: Literal["carried over", "fresh"]
    image_rule: ImageRule
    mixture: StageMixture
    learning_rate: float
    lora_rate: float
    vision_rate: float | None = None
    merger_rate: float | None = None
    schedule: str = "cosine"
    warmup: float = 0.03
    weight_decay: float = 0.01
    samples_per_step: int = 128
    tokens_per_batch: int = 8192
    average: Average = "samples"
    packed_share: float = 0.0

    def __post_init__(self) -> None:
        if self.number not in (1, 2, 3):
            raise ValueError(f"there are stages 1, 2 and 3, not {self.number}")
        if self.mixture.stage != self.number:
            raise ValueError(
                f"stage {self.number} cannot learn from the mixture of stage {self.mixture.stage}"
            )
        for name in ("samples_per_step", "tokens_per_batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, got {getattr(self, name)}")
        for name in ("warmup", "packed_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} lies in 0..1, got {getattr(self, name)}")
        if min(self.learning_rate, self.lora_rate, *self.part_rates.values()) <= 0:
            raise ValueError("a learning rate must be above 0")
        if self.part_rates and self.encoder == "frozen":
            raise ValueError(
                f"stage {self.number} leaves the encoder with its merger as they are; they have no learning rates there"
            )
        if self.schedule not in SCHEDULES:
            raise ValueError(f"there is no schedule {self.schedule!r}; there are {', '.join(SCHEDULES)}")
        if self.packed_share and self.number == 1:
            raise ValueError("packed lists belong to stages 2 and 3: stage 1 only tells what it sees")

    @property
    def name(self) -> str:
        return f"stage{self.number}"

    @property
    def part_rates(self) -> dict[str, float]:
        """Learning rates of parts (training.tuning.origin.PARTS) that are not the stage's."""
        rates = {"vision": self.vision_rate, "merger": self.merger_rate}
        return {part: rate for part, rate in rates.items() if rate is not None}

    @property
    def samples(self) -> int:
        return self.mixture.samples

    @property
    def steps(self) -> int:
        """Updates of the weights, the last one perhaps of fewer samples."""
        return -(-self.samples // self.samples_per_step)

    def with_(self, **changes: Any) -> Stage:
        """The same stage with some values changed; None leaves one as it is.

        samples, hard, nobody, gallery and vocabulary are the mixture's. Raises ValueError.
        """
        given = {key: value for key, value in changes.items() if value is not None}
        of_mixture = ("samples", "hard", "nobody", "gallery", "vocabulary")
        asked = {key: given.pop(key) for key in of_mixture if key in given}
        return replace(self, **{"mixture": replace(self.mixture, **asked), **given})

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


STAGES: dict[int, Stage] = {
    # Section 3.1.1: captions; 3.3: encoder and decoder start from the pre-trained model, all is trained,
    # pictures below 256 x 128 are brought to 256 x 128; 3.2: more than 5M samples (in the mixture, as below).
    1: Stage(
        number=1,
        title="person attribute understanding",
        encoder="trained",
        decoder="carried over",
        image_rule=STAGE_1,
        mixture=STAGE1,
        learning_rate=1e-5,
        lora_rate=1e-4,
    ),
    # Section 3.1.2: seven tasks; 3.3: stage 1's encoder with a freshly pre-trained decoder, all is trained,
    # pictures above 384 x 192 are brought to 384 x 192; 3.2: 3M samples.
    2: Stage(
        number=2,
        title="fine-grained image retrieval",
        encoder="trained",
        decoder="fresh",
        image_rule=STAGE_2,
        mixture=STAGE2,
        learning_rate=1e-5,
        lora_rate=1e-4,
        samples_per_step=64,
    ),
    # Section 3.1.3: the objectives of four Re-ID tasks; 3.3: all of stage 2 with the encoder frozen, pictures
    # as they are; 3.2: 500K samples.
    3: Stage(
        number=3,
        title="multi-modal task reasoning",
        encoder="frozen",
        decoder="carried over",
        image_rule=STAGE_3,
        mixture=STAGE3,
        learning_rate=5e-6,
        lora_rate=5e-5,
        samples_per_step=64,
    ),
}
