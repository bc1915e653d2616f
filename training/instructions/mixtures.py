"""What the three stages are taught, in which shares, and how galleries are sized.

Gallery sizes (section 3.2, "Gallery image sampling"): N ~ Uniform(a, b) over the whole numbers a..b, and the
paper's Equation 1:

    P(n = k) = 1 / (k - 1),  k in 2, 3, ..., N

How it was read. As printed the values add up to 1 + 1/2 + ... + 1/(N - 1), which is 1 only for N = 2; so they
are taken as weights and divided by that sum: P(n = k) = 1 / ((k - 1) H), with H the sum. Few matches are then
likelier than many, as in a real gallery. (Had the paper meant 1 / (N - 1), which does add up to one, n would
be uniform over 2..N, and "uniform across all numbers", as its text says; `law="uniform"` gives that.)

"Inverse transform sampling": u uniform in [0, 1), and n is the first k whose cumulative probability exceeds u.

n = 1 is outside of the equation's support, and the figure's answer speaks of two images; so a gallery has at
least two matches by Equation 1. Real galleries have single matches too: `single` is the share of galleries
with exactly one, drawn before the equation. It is 0 in stage 2, as in the paper, whose text tasks and
best-choice turns have one match each, and above 0 in stage 3.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate

from app.model.vocabulary import KINDS_OF_VERSION, VOCABULARY_VERSION
from training.instructions.rng import SampleRng

LAWS = ("equation-1", "uniform")


@cache
def probabilities(size: int, law: str = "equation-1") -> tuple[float, ...]:
    """P(n = k) for k = 2..size, in that order. Raises ValueError for a size below 2 or an unknown law."""
    if size < 2:
        raise ValueError(f"Equation 1 speaks of galleries of 2 pictures or more, got {size}")
    if law not in LAWS:
        raise ValueError(f"no law {law!r}; there are {', '.join(LAWS)}")
    weights = [1 / (k - 1) if law == "equation-1" else 1.0 for k in range(2, size + 1)]
    total = sum(weights)
    return tuple(weight / total for weight in weights)


@cache
def _cumulative(size: int, law: str) -> tuple[float, ...]:
    return tuple(accumulate(probabilities(size, law)))


def match_count(size: int, rng: SampleRng, *, single: float = 0.0, law: str = "equation-1") -> int:
    """n for a gallery of N = `size` pictures: 1 in a share `single`, otherwise by the law. N = 1 gives 1."""
    if size == 1 or (single and rng.happens(single)):
        return 1
    cumulative = _cumulative(size, law)
    return 2 + min(bisect_right(cumulative, rng.random()), len(cumulative) - 1)


@dataclass(frozen=True)
class StageMixture:
    """One stage's samples. All shares and probabilities are fractions, 0..1.

    samples: how many the stage has. shares: task -> weight, in any unit; see training.instructions.tasks.
    gallery: a, b of N ~ Uniform(a, b), in pictures, the query not counted. The paper does not state them. With 8
    and a query, picture numbers keep to one digit; best choices always do, as at run time.
    law, single: of the number of matches, see training.instructions.mixtures.
    captions: fewest and most captions to choose from (Figure 4 shows three).
    told: fewest and most attributes in a description made of attributes. partial: the same for fragments.
    positive: of the pairs asked about, the share that match. hard: of the other people, the share that are
    look-alikes. nobody: of the galleries, the share without a match (0 as in the paper).
    query_first: of the yes/no questions, the share put as at run time, query first, instead of as in Figure 4.
    gallery_of_one: of the best choices, the share with one candidate, half of them without a match.
    canonical: of the texts made of attributes, the share in the product's own wording.
    vocabulary: version in which attributes are annotated. words_behind: as `pair_prompt` has it.
    infrared: a data set with infrared pictures weighs as much more. data_sets: further factors by name; a data
    set weighs as many units as it has pictures, times these. 0 leaves it out.
    """

    stage: int
    samples: int
    shares: Mapping[str, float]
    gallery: tuple[int, int] = (2, 8)
    law: str = "equation-1"
    single: float = 0.0
    captions: tuple[int, int] = (3, 5)
    told: tuple[int, int] = (3, 8)
    partial: tuple[int, int] = (1, 3)
    positive: float = 0.5
    hard: float = 0.5
    nobody: float = 0.0
    query_first: float = 0.0
    gallery_of_one: float = 0.0
    canonical: float = 0.5
    vocabulary: int = VOCABULARY_VERSION
    words_behind: bool = False
    infrared: float = 1.0
    data_sets: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fractions = ("single", "positive", "hard", "nobody", "query_first", "gallery_of_one", "canonical")
        for name in fractions:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"stage {self.stage}: {name} must lie in 0..1, got {getattr(self, name)}")
        for name, lowest, highest in (
            ("gallery", 2, 99),
            ("captions", 2, 10),
            ("told", 1, 99),
            ("partial", 1, 99),
        ):
            low, high = getattr(self, name)
            if not lowest <= low <= high <= highest:
                raise ValueError(
                    f"stage {self.stage}: {name} must be two numbers in {lowest}..{highest}, the smaller first, "
                    f"got {low}, {high}"
                )
        if self.vocabulary not in KINDS_OF_VERSION:
            raise ValueError(
                f"stage {self.stage}: there is no version {self.vocabulary} of the attribute vocabulary"
            )
        if self.law not in LAWS:
            raise ValueError(f"stage {self.stage}: no law {self.law!r}; there are {', '.join(LAWS)}")
        if self.samples < 1:
            raise ValueError(f"stage {self.stage}: a stage has one sample or more, got {self.samples}")
        if self.infrared < 0 or any(weight < 0 for weight in self.data_sets.values()):
            raise ValueError(f"stage {self.stage}: weights of data sets must be 0 or more")


# Stage 1, person attribute understanding (section 3.1.1): the captioning task alone.
STAGE1 = StageMixture(stage=1, samples=5_000_000, shares={"caption": 1.0}, canonical=0.7)

# Stage 2, fine-grained retrieval: the seven tasks of Figure 4. "The two image-to-image tasks account for
# approximately 25% to 30% of the overall data volume, while the remaining tasks each contribute roughly 10%":
# read as 25 % each, since 25 % + 25 % + 5 x 10 % is all.
STAGE2 = StageMixture(
    stage=2,
    samples=3_000_000,
    shares={
        "image-one-to-one": 0.25,
        "image-many-to-many": 0.25,
        "text-one-to-one": 0.10,
        "text-many-to-one": 0.10,
        "text-one-to-many": 0.10,
        "compare-attributes": 0.10,
        "annotate-attributes": 0.10,
    },
    query_first=0.5,
    infrared=1.5,
)

# Stage 3, multi-modal task reasoning: the four Re-ID prompts, retrieval by fragments, queries of picture and
# words, best-choice turns, and the question of run time. The paper does not state shares.
STAGE3 = StageMixture(
    stage=3,
    samples=500_000,
    shares={
        "standard": 0.12,
        "clothes-changing": 0.12,
        "visible-infrared": 0.12,
        "text-to-image": 0.12,
        "attributes": 0.12,
        "image-plus-text": 0.10,
        "text-plus-match": 0.08,
        "best-choice": 0.10,
        "pair-question": 0.12,
    },
    single=0.5,
    nobody=0.1,
    gallery_of_one=0.1,
    infrared=1.5,
)

MIXTURES = {1: STAGE1, 2: STAGE2, 3: STAGE3}
