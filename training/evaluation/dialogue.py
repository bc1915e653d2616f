"""A simulated operator talks to the real chat: how soon is the person found, round by round?

Protocol. The gallery holds mixed drawn people over a day (as in text-to-image). An operator has seen one crop
of a person and begins with two attributes that show in it. Each round, the chat answers as it does on the
screen: it searches, reads the first candidates, and asks the question that parts them best. The operator
answers from the truth about the person, is wrong at one rate and does not know at another; where nothing is
asked, they tell one more thing that showed. Clicks are left out: words alone.

Figures, by round t = 0..T (0: the first message), over the rank of the person's best crop:
recall@k: the person is among the first k now; hits@k: was so by now at least once ("found within t rounds",
Levy et al., ChatIR, NeurIPS 2023); BRI: best log rank integral (Lee et al., PlugIR, ACL 2024), the mean over
queries of 1/T * sum over t of (log b(t) + log b(t + 1)) / 2, with b(t) the best rank by round t, from 1, and
the natural logarithm. Lower is better, 0 is a person found first at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.chat.conversation import Conversation, answered, direct_answer, say, to_query
from app.chat.reply import reply
from app.chat.search_state import GalleryFacts, ShownCandidate
from app.model.vocabulary import COLOUR_OF, KINDS, Attribute, phrase
from app.retrieval.engine import Engine
from app.retrieval.query import Reference
from app.retrieval.ranking import Ranking
from training.evaluation.harness import HarnessError
from training.evaluation.searchers import Opened
from training.synthetic.captions import caption, fragment
from training.synthetic.world import DAY, Crop

DONT_KNOW = "I don't know"
FIRST_TOLD = 2
READ_FOR_REPLY = 3  # candidates whose attributes the reply speaks of, as on the screen
MANY = 10**6  # candidates: all of them
TOPS = (1, 5, 10)


@dataclass(frozen=True)
class Operator:
    """How reliable the simulated operator is: shares of answers, 0..1."""

    wrong: float = 0.05
    unsure: float = 0.15

    def __post_init__(self) -> None:
        if min(self.wrong, self.unsure) < 0 or self.wrong + self.unsure > 1:
            raise HarnessError(
                f"the shares of wrong ({self.wrong}) and unsure ({self.unsure}) answers are 0 or more, "
                "and at most 1 together"
            )


@dataclass(frozen=True)
class Talk:
    """One conversation to be held: a task for a searcher. target: the crop that the operator has seen."""

    gallery: Path
    ids: tuple[int, ...]  # the target person's crops in the gallery
    target: Crop
    seed: int
    rounds: int
    operator: Operator


@dataclass(frozen=True)
class Held:
    """What came of it. ranks: int64 (rounds + 1,), from 1. said: the operator's messages. asked: how many
    questions the chat asked.
    """

    ranks: np.ndarray
    said: tuple[str, ...]
    asked: int


def hold(opened: Opened, talk: Talk) -> Held:
    """One conversation from the first message to the last answer."""
    engine = opened.engine(talk.gallery)
    facts = GalleryFacts(tuple(engine.store.cameras()), tuple(engine.store.days()), DAY.date())
    rng = np.random.default_rng((talk.seed, 83))
    first = fragment(talk.target.visible, rng, FIRST_TOLD)
    told = dict(first)
    message, said, ranks, asked = caption(first, rng, canonical=0.0), [], [], 0
    conversation, ranking = Conversation(), None
    for turn in range(talk.rounds + 1):
        conversation = say(conversation, message, facts)
        said.append(message)
        direct = direct_answer(conversation)
        if direct is None or ranking is None:
            ranking = engine.search(to_query(conversation), limit=MANY)
            direct = None
        ranks.append(_rank(ranking, talk.ids))
        text = direct if direct is not None else _answer(engine, conversation, ranking)
        conversation = answered(conversation, text, [c.image_id for c in ranking.candidates[:12]])
        if turn == talk.rounds:
            break
        kind = conversation.last.asked if conversation.last else None
        asked += kind is not None
        message = next_message(kind, talk.target, told, talk.operator, rng)
    return Held(np.array(ranks, np.int64), tuple(said), asked)


def next_message(
    kind: str | None, target: Crop, told: dict[str, str], operator: Operator, rng: np.random.Generator
) -> str:
    """What the operator says to a question about `kind`, or of their own accord; `told` takes it in."""
    if kind is None:
        left = {k: v for k, v in target.visible.items() if k not in told}
        more = fragment(left, rng, 1) if left else {}
        told.update(more)
        return " and ".join(_words(k, v, target.attributes) for k, v in more.items()) or DONT_KNOW
    fate = rng.random()
    truth = target.attributes.get(kind)
    if truth is None or fate < operator.unsure:
        return DONT_KNOW
    if fate < operator.unsure + operator.wrong:
        others = [value for value in KINDS[kind] if value != truth]
        truth = others[int(rng.integers(len(others)))]
    told[kind] = truth
    return _words(kind, truth, {})


def figures(ranks: np.ndarray) -> dict[str, object]:
    """ranks: int (queries, rounds + 1), from 1 -> the figures by round, and BRI (see the module).

    Raises:
        ValueError: no round beside the first message, no query, or ranks below 1.
    """
    if ranks.ndim != 2 or ranks.shape[0] < 1 or ranks.shape[1] < 2 or (ranks < 1).any():
        raise ValueError(f"ranks of shape {ranks.shape} are not (queries, rounds + 1) places from 1")
    best = np.minimum.accumulate(ranks, axis=1)
    logs = np.log(best.astype(np.float64))
    by_query = (logs[:, 1:] + logs[:, :-1]).mean(1) / 2
    return {
        "recall": {f"@{k}": (ranks <= k).mean(0).tolist() for k in TOPS},
        "hits": {f"@{k}": (best <= k).mean(0).tolist() for k in TOPS},
        "median_rank": np.median(ranks, axis=0).tolist(),
        "bri": float(by_query.mean()),
    }


def _rank(ranking: Ranking, ids: Sequence[int]) -> int:
    wanted = set(ids)
    places = (p for p, one in enumerate(ranking.candidates, 1) if one.image_id in wanted)
    return next(places, len(ranking.candidates) + 1)


def _answer(engine: Engine, conversation: Conversation, ranking: Ranking) -> str:
    """As on the screen: the first candidates are read, and the reply asks what would part them."""
    first = ranking.candidates[:READ_FOR_REPLY]
    crops = engine.store.crops([candidate.image_id for candidate in first])
    readings = engine.read([Reference(image_id=crop.id) for crop in crops])
    shown = [ShownCandidate(c, candidate, r) for c, candidate, r in zip(crops, first, readings, strict=True)]
    return reply(conversation, ranking, shown)


def _words(kind: str, value: str, attributes: Mapping[str, str]) -> str:
    """ "Red hat" may be a cap: a colour that was not asked for is told with its thing."""
    thing = next((thing for thing, colour in COLOUR_OF.items() if colour == kind), None)
    if thing in ("hat", "bag", "shoes") and attributes.get(thing, "none") != "none":
        return f"{value} {attributes[thing]}"
    return phrase(Attribute(kind, value))
