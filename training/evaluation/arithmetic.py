"""How long an evaluation takes, by arithmetic alone: no figure here was measured on a GPU.

A pass takes as long as its operations, or, where it is small, as long as it takes to be told to the GPU layer by layer:
most passes of a search are small. What is counted is what the engine does for a query by a picture: its own vision
tokens, the question's prefix, the candidates in batches, and for some queries the multi-turn best choice. CLIP,
decoding and the rankings themselves are left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.retrieval.tournament import LIST_LENGTH, question_count

if TYPE_CHECKING:
    from training.tuning.memory import Sizes

BATCH = 32  # pairs, or pictures, in a pass: app.model.reid_model's
# Tokens of the questions without their pictures, by the demo model's tokenizer; Qwen2's needs about as many.
PREFIX, TAIL, CHOICE = 30, 6, 77


@dataclass(frozen=True)
class Passes:
    """count: forward passes of one kind. flops: operations of one of them."""

    what: str
    count: int
    flops: float

    def seconds(self, rate: float, least: float) -> float:
        """rate: operations a second that are reached. least: seconds of a pass, however little it holds."""
        return self.count * max(self.flops / rate, least)


def passes(
    counts: Sizes, *, queries: int, gallery: int, k: int, picture: int, best_choice: int = 0
) -> list[Passes]:
    """What an evaluation computes, with a token cache that holds every crop.

    queries, gallery: how many there are. k: candidates of a query. picture: vision tokens of one. best_choice:
    queries that it is asked for, a tournament of their candidates each.
    """
    batches = math.ceil(k / BATCH)
    token = 2.0 * counts.decoder_linear
    sight = 2.0 * counts.encoder * 4 * picture  # four patches a token
    new = min(
        gallery, queries * k
    )  # crops that are seen, once each; at worst one in each batch of candidates
    seen = min(new, queries * batches)
    return [
        Passes("queries seen", queries, sight),
        Passes("crops seen", seen, sight * new / seen),
        Passes("prefixes", queries, token * (PREFIX + picture)),
        Passes("pairs", queries * batches, token * (picture + TAIL) * k / batches),
        Passes(
            "best choice",
            best_choice * question_count(k),
            token * (CHOICE + (LIST_LENGTH + 1) * picture),
        ),
    ]


def cache_bytes(counts: Sizes, pictures: int, picture: int) -> float:
    """Bytes of all pictures' vision tokens in half precision."""
    return 2.0 * counts.width * picture * pictures


def table(rows: list[Passes], rate: float, least: float) -> list[str]:
    """Lines of a Markdown table, with their sum."""
    lines = ["| part | passes | TFLOP a pass | minutes |", "|---|---|---|---|"]
    for row in rows:
        minutes = row.seconds(rate, least) / 60
        lines.append(f"| {row.what} | {row.count:,} | {row.flops / 1e12:.2f} | {minutes:.1f} |")
    whole = sum(row.seconds(rate, least) for row in rows) / 60
    return [*lines, f"| all | {sum(row.count for row in rows):,} | | {whole:.1f} |"]
