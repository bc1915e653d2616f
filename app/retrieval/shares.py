"""From the shares of each kind's values to how well crops fit what is said, and how alike they are.

Whoever reads the attributes, CLIP or the model, says for each kind how likely each of its values is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from app.model.vocabulary import KINDS, LASTING, Attribute

LEAST = 1e-4  # a share below this counts as this: one attribute never decides alone
LEAST_ALIKE = 1e-2  # the same for the chance that two pictures show one value
LEAST_READ = 1e-6  # of the model's, before it is weighed against CLIP's

Shares = Callable[[str], np.ndarray]  # kind -> float (values, n), of n crops
Readers = Mapping[str, tuple[float, float]]  # kind -> weights of CLIP's cosine and of the model's log-share


def split(rows: np.ndarray) -> Shares:
    """Shares in rows, float (n, all values), kinds in the vocabulary's order."""
    ends = np.cumsum([len(values) for values in KINDS.values()])
    parts = dict(zip(KINDS, np.split(rows.T, ends[:-1]), strict=True))
    return parts.__getitem__


def softmax(logits: np.ndarray) -> np.ndarray:
    """float64 (values, n), each column adding up to 1."""
    powers = np.exp(logits - logits.max(0, keepdims=True))
    return powers / powers.sum(0, keepdims=True)


def joint(cosines: Callable[[str], np.ndarray], rows: np.ndarray, readers: Readers) -> Shares:
    """The shares by both readers: each kind's logits are CLIP's cosines and the model's log-shares, weighed.

    Args:
        cosines: kind -> float (values, n), of the crops to each value's words. rows: float (n, all values), the
            model's shares; NaN where it did not read: there CLIP speaks alone.
    """
    read = split(rows)

    def shares(kind: str) -> np.ndarray:
        clip, model = readers[kind]
        told = np.nan_to_num(np.log(np.clip(read(kind).astype(np.float64), LEAST_READ, 1)))
        return softmax(clip * cosines(kind).astype(np.float64) + model * told)

    return shares


def log_stated(
    shares: Shares, wanted: Sequence[Attribute], unwanted: Sequence[Attribute]
) -> np.ndarray | float:
    """float (n,), 0 or less: the summed logarithms of the chances that crops show this and not that."""
    total: np.ndarray | float = 0.0
    known: dict[str, np.ndarray] = {}
    for attribute, sign in [*((a, 1) for a in wanted), *((a, -1) for a in dict.fromkeys(unwanted))]:
        kind = attribute.kind
        if kind not in known:
            known[kind] = shares(kind)
        share = known[kind][KINDS[kind].index(attribute.value)]
        total = total + np.log(np.clip(share if sign > 0 else 1 - share, LEAST, 1))
    return total


def log_alike(own: Shares, shares: Shares, kinds: Sequence[str]) -> np.ndarray | float:
    """float (n,), 0 or less: the summed logarithms of the chances that crops show what pictures of one person do.

    own: of those pictures; their shares are averaged.
    """
    total: np.ndarray | float = 0.0
    for kind in kinds:
        total = total + np.log(np.clip(own(kind).mean(1) @ shares(kind), LEAST_ALIKE, 1))
    return total


def comparable(told: Sequence[Attribute], other_clothes: bool = False) -> tuple[str, ...]:
    """The kinds in which a picture is compared beside such words.

    Words beside a picture mostly tell of other clothes: then only what outlasts them, and is not told anew.
    """
    said = {attribute.kind for attribute in told}
    return tuple(kind for kind in LASTING if kind not in said) if told or other_clothes else tuple(KINDS)


def reading(
    rows: np.ndarray,
    own: np.ndarray | None,
    wanted: Sequence[Attribute],
    unwanted: Sequence[Attribute],
    other_clothes: bool = False,
) -> np.ndarray:
    """float64 (n,), 0 or less: how well crops fit a query by what was read off them; NaN where nothing was.

    Args:
        rows: float (n, all values), shares of the crops. own: (r, all values), of the query's pictures; None
            without any. wanted, unwanted, other_clothes: what the query says.
    """
    total = np.zeros(len(rows)) + log_stated(split(rows), wanted, unwanted)
    if own is None:
        return total
    return total + log_alike(split(own), split(rows), comparable(wanted, other_clothes))


def likeliest(rows: np.ndarray) -> list[tuple[Attribute, float]]:
    """The likeliest value of each kind, with its share, of one crop's shares (all values,)."""
    shares = split(rows[None])
    found = []
    for kind, values in KINDS.items():
        best = int(shares(kind)[:, 0].argmax())
        found.append((Attribute(kind, values[best]), float(shares(kind)[best, 0])))
    return found
