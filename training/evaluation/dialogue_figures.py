"""The figures of dialogues: recall by round, best log rank integral, what asking less would cost; and their tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from training.evaluation.printing import markdown_table
from training.evaluation.results import Result

TOPS = (1, 5, 10)


def figures(ranks: np.ndarray) -> dict[str, Any]:
    """ranks: int (queries, rounds + 1), from 1 -> the figures by round, and BRI (see the module).

    Raises:
        ValueError: no round beside the first message, no query, or ranks below 1.
    """
    best = np.minimum.accumulate(_checked(ranks), axis=1)
    return {
        "recall": {f"@{k}": (ranks <= k).mean(0).tolist() for k in TOPS},
        "hits": {f"@{k}": (best <= k).mean(0).tolist() for k in TOPS},
        "median_rank": np.median(ranks, axis=0).tolist(),
        "bri": float(log_rank_integrals(ranks).mean()),
    }


def log_rank_integrals(ranks: np.ndarray) -> np.ndarray:
    """float64 (queries,), 0 or more: of each, as BRI is their mean. ranks and errors: as `figures` has them."""
    logs = np.log(np.minimum.accumulate(_checked(ranks), axis=1).astype(np.float64))
    return np.asarray((logs[:, 1:] + logs[:, :-1]).mean(1) / 2)


def stopped_below(
    ranks: np.ndarray, bits: Sequence[Sequence[float]], worth: float
) -> tuple[np.ndarray, float]:
    """Had the chat asked only from `worth` bits: the ranks (queries, rounds + 1), which stay as they are from the first
    question on that is worth less, and how many questions it asked, on average. bits: of each query's questions.
    """
    stopped, asked = ranks.copy(), 0
    for row, of_query in zip(stopped, bits, strict=True):
        told = next((turn for turn, worth_of in enumerate(of_query) if worth_of < worth), len(of_query))
        row[told:] = row[told]
        asked += told
    return stopped, asked / len(ranks)


def _checked(ranks: np.ndarray) -> np.ndarray:
    if ranks.ndim != 2 or ranks.shape[0] < 1 or ranks.shape[1] < 2 or (ranks < 1).any():
        raise ValueError(f"ranks of shape {ranks.shape} are not (queries, rounds + 1) places from 1")
    return ranks


def dialogue_table(result: Result) -> str:
    """A row per asker, percent, as Markdown; then the chat's own questions round by round."""
    extra = result.extra
    rounds = int(extra["rounds"])
    head = [
        "asker",
        "recall@1 at first",
        f"after {rounds}",
        "by seed",
        "BRI",
        "by seed",
        "questions",
        "unknown",
    ]
    rows = [head]
    for name, of in extra["askers"].items():
        seeds = of["by_seed"]
        rows.append(
            [
                name,
                f"{100 * of['recall']['@1'][0]:.1f}",
                f"{100 * of['recall']['@1'][-1]:.1f}",
                " ".join(f"{100 * one['recall@1']:.0f}" for one in seeds),
                f"{of['bri']:.3f}",
                " ".join(f"{one['bri']:.2f}" for one in seeds),
                f"{of['questions_asked']:.1f}",
                f"{100 * of['unknown']:.0f}",
            ]
        )
    lines = markdown_table(rows)
    lines += ["", "Differences over the same people, with their 95 % intervals (paired bootstrap):"]
    for pair, of in extra["asker_differences"].items():
        recall, bri = of["recall@1"], of["bri"]
        lines.append(
            f"- {pair}: recall@1 {100 * recall['mean']:+.1f} [{100 * recall['low']:+.1f}, "
            f"{100 * recall['high']:+.1f}], BRI {bri['mean']:+.3f} [{bri['low']:+.3f}, {bri['high']:+.3f}]"
        )
    asked_from = [["asked from", "questions", "recall@1", "BRI"]]
    for of in extra["by_worth"]:
        cells = [f"{of['questions_asked']:.1f}", f"{100 * of['recall@1']:.1f}", f"{of['bri']:.3f}"]
        asked_from.append([f"{of['worth']:g} bits", *cells])
    lines += ["", "Had gain asked only from so many bits:", "", *markdown_table(asked_from)]
    shares = ["recall@1", "recall@5", "recall@10", "hits@1", "hits@5", "hits@10"]
    by_round = [["round", *shares, "median rank"]]
    for turn in range(rounds + 1):
        cells = [f"{100 * extra[which][f'@{k}'][turn]:.1f}" for which in ("recall", "hits") for k in TOPS]
        by_round.append([str(turn), *cells, f"{extra['median_rank'][turn]:.1f}"])
    world = result.world
    lines += [
        "",
        "The chat's own questions (gain), round by round:",
        "",
        *markdown_table(by_round),
        "",
        f"World version {world['version']}, split {world['split']}, seeds {world['seeds']}, {world['identities']} "
        f"identities each; {result.seconds['total']:.0f} s.",
        *result.notes,
    ]
    return "\n".join(lines)
