"""From the shares of each kind's values to how well crops fit what is said, and how alike they are.

Whoever reads the attributes, CLIP or the model, says for each kind how likely each of its values is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from app.model.vocabulary import KINDS, LASTING, Attribute

LEAST = 1e-4  # a share below this counts as this: one attribute never decides alone
MOST_ALIKE = 6.0  # of a kind's log-ratio either way: one rare value never decides alone
LEAST_READ = 1e-6  # of the model's, before it is weighed against CLIP's

Shares = Callable[[str], np.ndarray]  # kind -> float (values, n), of n crops
Usual = Callable[[str], np.ndarray]  # kind -> float (values,), adding up to 1: how common each value is
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


def log_alike(own: Shares, shares: Shares, kinds: Sequence[str], usual: Usual) -> np.ndarray | float:
    """float (n,): the log-ratios of `log_ratios` for pictures of one person, whose shares are averaged."""
    if not kinds:
        return 0.0
    return log_ratios(lambda kind: own(kind).mean(1, keepdims=True), shares, kinds, usual)[0]


def log_ratios(own: Shares, shares: Shares, kinds: Sequence[str], usual: Usual) -> np.ndarray:
    """float (m, n): the summed log-ratios of n crops showing what each of m pictures does, to showing it by chance.

    A kind's ratio is the sum over its values of (own share) * (crop's share) / (usual share): a value that both show
    says the more the rarer it is, and a kind that does not show (read as the usual values) says nothing.

    Args:
        kinds: one at least. usual: of the gallery.
    """
    each = (((own(kind).T / usual(kind)) @ shares(kind)) for kind in kinds)
    most = math.exp(MOST_ALIKE)
    return np.sum([np.log(np.clip(ratio, 1 / most, most)) for ratio in each], axis=0)


def usual_shares(shares: Shares) -> Usual:
    """How common each value is among n crops; one crop more counts, that shows all values alike."""
    known: dict[str, np.ndarray] = {}

    def usual(kind: str) -> np.ndarray:
        if kind not in known:
            found = shares(kind)
            known[kind] = (found.sum(1) + 1 / len(found)) / (found.shape[1] + 1)
        return known[kind]

    return usual


def rarity(usual: Usual, wanted: Sequence[Attribute], unwanted: Sequence[Attribute]) -> float:
    """0 or more: how rare in the gallery is what is told, the logarithm of one crop in so many; 0 without any."""
    common = log_stated(lambda kind: usual(kind)[:, None], wanted, unwanted)
    return -float(np.sum(common))


def comparable(told: Sequence[Attribute], other_clothes: bool = False) -> tuple[str, ...]:
    """The kinds in which a picture is compared beside such words.

    Words beside a picture mostly tell of other clothes: then only what outlasts them, and is not told anew.
    """
    said = {attribute.kind for attribute in told}
    return tuple(kind for kind in LASTING if kind not in said) if told or other_clothes else tuple(KINDS)


def reading(
    shares: Shares,
    own: Shares | None,
    wanted: Sequence[Attribute],
    unwanted: Sequence[Attribute],
    other_clothes: bool,
    usual: Usual,
) -> np.ndarray | float:
    """float64 (n,): how well crops fit a query by what was read off them.

    Args:
        shares: of the crops. own: of the query's pictures; None without any. wanted, unwanted, other_clothes: what
            the query says. usual: of the gallery.
    """
    total = log_stated(shares, wanted, unwanted)
    return total if own is None else total + log_alike(own, shares, comparable(wanted, other_clothes), usual)


def likeliest(rows: np.ndarray) -> list[tuple[Attribute, float]]:
    """The likeliest value of each kind, with its share, of one crop's shares (all values,)."""
    shares = split(rows[None])
    found = []
    for kind, values in KINDS.items():
        best = int(shares(kind)[:, 0].argmax())
        found.append((Attribute(kind, values[best]), float(shares(kind)[best, 0])))
    return found
