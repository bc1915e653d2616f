"""How long a gallery is, and how many of its pictures match: section 3.2, "Gallery image sampling".

N ~ Uniform(a, b) over the whole numbers a..b, and the paper's Equation 1:

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
from functools import cache
from itertools import accumulate

from training.instructions.chance import Chance

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


def match_count(size: int, chance: Chance, *, single: float = 0.0, law: str = "equation-1") -> int:
    """n for a gallery of N = `size` pictures: 1 in a share `single`, otherwise by the law. N = 1 gives 1."""
    if size == 1 or (single and chance.happens(single)):
        return 1
    cumulative = _cumulative(size, law)
    return 2 + min(bisect_right(cumulative, chance.random()), len(cumulative) - 1)
