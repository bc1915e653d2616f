"""How far CLIP and the language model are to be trusted, kind of attribute by kind, and when crops are kin by them:
fitted where the truth is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F

from app.model.checkpoint import AffinityWeights
from app.model.vocabulary import KINDS
from app.retrieval.attribute_probs import LEAST_READ, SHARPNESS, split
from app.retrieval.calibration import fit

PRIOR = 2e-3  # pulls towards CLIP alone: keeps the weights finite where everything is read rightly


def fit_readers(
    cosines: Callable[[str], np.ndarray], rows: np.ndarray, visible: np.ndarray
) -> dict[str, tuple[float, float]]:
    """The weights of CLIP's cosine and of the model's log-share that make what is visible likeliest; 0 or more.

    Args:
        cosines: kind -> float (values, n), of n crops to each value's words. rows: float (n, all values), the
            model's shares. visible: int (n, kinds), the value that each crop shows, -1 for none.
    """
    read, found = split(rows), {}
    for place, kind in enumerate(KINDS):
        known = visible[:, place] >= 0
        truth = torch.from_numpy(visible[known, place].astype(np.int64))
        clip = torch.from_numpy(cosines(kind).T[known].astype(np.float64))
        model = torch.from_numpy(np.log(np.clip(read(kind).T[known].astype(np.float64), LEAST_READ, 1)))
        found[kind] = _fit(clip, model, truth) if len(truth) else (SHARPNESS, 0.0)
    return found


def _fit(clip: torch.Tensor, model: torch.Tensor, truth: torch.Tensor) -> tuple[float, float]:
    roots = torch.tensor([1.0, 0.5], dtype=torch.float64, requires_grad=True)  # squares are never negative
    optimizer = torch.optim.LBFGS([roots], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        one, other = roots[0] ** 2, roots[1] ** 2
        loss = F.cross_entropy(SHARPNESS * one * clip + other * model, truth)
        loss = loss + PRIOR * ((one - 1) ** 2 + other**2)
        loss.backward()
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    one, other = (roots.detach() ** 2).tolist()
    return SHARPNESS * one, other


def fit_kin(cosines: np.ndarray, likeness: np.ndarray, clothes: np.ndarray, nearest: int) -> AffinityWeights:
    """When two crops show one person in the same clothes.

    Args:
        cosines, likeness: float (n, n) between crops of a gallery; a plain 0 for cosines leaves them out.
        clothes: int (n,), one number for a person in an outfit. nearest: crops that each is paired with, as among
            the candidates of a search.
    """
    count = len(clothes)
    cosines = np.broadcast_to(cosines, likeness.shape)
    summed = np.where(np.eye(count, dtype=bool), -np.inf, cosines + likeness)
    near = np.argsort(-summed, axis=1, kind="stable")[:, : min(nearest, count - 1)]
    pairs = [np.take_along_axis(figures, near, 1).ravel() for figures in (cosines, likeness)]
    same = clothes[near] == clothes[:, None]
    found = fit(pairs[1], pairs[0], same.ravel())
    return AffinityWeights(cosine=found.similarity, alike=found.word, bias=found.bias)
