"""Packed lists as a step of the demo's training asks them: laid out, answered, and their losses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from training.decoder import Decoder, on_device
from training.demo.phrases import PhraseArrays, phrase_loss
from training.demo.sampling import PackedList
from training.demo.sequences import Forms
from training.packed import (
    PackedAnswers,
    QueryArrays,
    answers,
    answers_of_pictures,
    embed_queries,
    lay_out,
    listwise_loss,
)


@dataclass(frozen=True)
class ListArrays:
    """A packed list, laid out. references int64 (k,), candidates int64 (Q, M): places among the pictures that are seen,
    of the questions' pictures one after another, and of the candidates; right, ignored, wrong, reading, phrases: as
    PackedList has them.
    """

    kind: str
    queries: QueryArrays
    references: np.ndarray
    candidates: np.ndarray
    right: np.ndarray
    ignored: np.ndarray
    wrong: np.ndarray
    reading: int
    phrases: PhraseArrays | None

    @property
    def first_of_sets(self) -> range:
        """Of questions that share their candidates, one after another and equally many, the first; none otherwise."""
        change = np.flatnonzero((self.candidates[1:] != self.candidates[:-1]).any(1)) + 1
        every = int(change[0]) if len(change) else len(self.candidates)
        regular = len(self.candidates) % every == 0 and set(change) == set(
            range(every, len(self.candidates), every)
        )
        return range(0, len(self.candidates), every) if regular else range(0)

    @classmethod
    def of(cls, packed: PackedList, places: Mapping[int, int]) -> ListArrays:
        """places: of each row of the pool among the pictures that are seen."""
        references = [places[row] for rows in packed.references for row in rows]
        candidates = [[places[row] for row in rows] for rows in packed.rows.tolist()]
        return cls(
            packed.kind,
            lay_out(packed.layouts),
            np.array(references, np.int64),
            np.array(candidates, np.int64),
            packed.right,
            packed.ignored,
            packed.wrong,
            packed.reading,
            packed.phrases,
        )


def list_answers(
    decoder: Decoder, listed: ListArrays, seen: Tensor, yes_no: tuple[int, int], forms: Forms
) -> PackedAnswers:
    """What a list's questions are answered. seen: vision tokens (pictures, tokens, width). forms: what is read off
    candidates, where it stands behind their pictures."""
    references, candidates = (on_device(one, seen.device) for one in (listed.references, listed.candidates))
    queries = embed_queries(decoder.embed, listed.queries, seen[references].flatten(0, 1))
    shown = torch.cat([seen, forms.read_aloud(decoder, seen)], 1) if listed.reading else seen
    if listed.queries.one_prefix and len(firsts := listed.first_of_sets):
        return answers_of_pictures(decoder, queries, shown[candidates[firsts]], yes_no)
    return answers(decoder, queries, shown[candidates], yes_no)


def said_loss(decoder: Decoder, found: PackedAnswers, said: PhraseArrays, yes_no: tuple[int, int]) -> Tensor:
    """Of the phrases of a list's queries: whether each is true of each candidate, asked at its last word."""
    device = found.behind.device
    queries, ends = (on_device(one, device) for one in (said.queries, said.ends))
    rows = found.behind[queries, :, ends]  # (U, M, width)
    logits = decoder.early_logits(rows, on_device(np.array(yes_no), device))
    return phrase_loss(logits[..., 0] - logits[..., 1], said.true)


def list_losses(odds: Tensor, listed: ListArrays) -> tuple[Tensor, Tensor]:
    """The list's own loss, and the divergence of the odds' softmax from one in which each wrong attribute takes one
    off."""
    right, ignored, wrong = (
        on_device(one, odds.device) for one in (listed.right, listed.ignored, listed.wrong)
    )
    target = (-wrong.float()).masked_fill(ignored, -1e4).softmax(1)
    graded = F.kl_div(odds.masked_fill(ignored, -1e4).log_softmax(1), target, reduction="batchmean")
    return listwise_loss(odds, right, ignored), graded
