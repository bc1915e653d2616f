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

Conversations go through the service that operators use (app.service). Each that was held is kept in the work
folder, and is not held again when a run is repeated.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from app.model.vocabulary import COLOUR_OF, KINDS, Attribute, phrase
from app.refused import Refused
from app.retrieval.ranking import Ranking
from app.service import ChatService
from gallery_store.console import StepProgress, step_progress
from gallery_store.files import write_file
from training.evaluation.harness import index_gallery
from training.evaluation.results import Result
from training.evaluation.synthetic_people import VIEWS, one_outfit, record_of
from training.evaluation.work_folder import HarnessError, begin, require_all
from training.evaluation.workers import OpenedModels, Workers
from training.synthetic.captions import caption, fragment
from training.synthetic.people import WORLD_VERSION
from training.synthetic.world import DAY, DrawnCrop

DONT_KNOW = "I don't know"
FIRST_TOLD = 2
ALL_CROPS = 10**6  # candidates of a search: every crop of the gallery
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
    target: DrawnCrop
    seed: int
    rounds: int
    operator: Operator


@dataclass(frozen=True)
class HeldTalk:
    """What came of a conversation. ranks: int64 (rounds + 1,), from 1. messages: the operator's. questions: how
    many the chat asked.
    """

    ranks: np.ndarray
    messages: tuple[str, ...]
    questions: int


def hold(opened: OpenedModels, talk: Talk) -> HeldTalk:
    """One conversation from the first message to the last answer. Raises HarnessError when a search fails."""
    engine = opened.engine(talk.gallery)
    service = ChatService(engine, most_listed=ALL_CROPS, today=DAY.date(), audited=False)
    session = service.get("simulated operator", str(talk.seed))
    rng = np.random.default_rng((talk.seed, 83))
    first = fragment(talk.target.visible, rng, FIRST_TOLD)
    stated = dict(first)
    message = caption(first, rng, canonical=0.0)
    messages: list[str] = []
    ranks: list[int] = []
    ranking: Ranking | None = None
    questions = 0
    for turn in range(talk.rounds + 1):
        try:
            session.say(message)
        except Refused as problem:
            raise HarnessError(str(problem)) from problem
        messages.append(message)
        ranking = session.ranking or ranking  # where nothing is looked for any more, the last list counts
        ranks.append(_rank(ranking, talk.ids) if ranking else engine.store.count() + 1)
        if turn == talk.rounds:
            break
        last = session.conversation.last
        kind = last.asked if last else None
        questions += kind is not None
        message = next_message(kind, talk.target, stated, talk.operator, rng)
    return HeldTalk(np.array(ranks, np.int64), tuple(messages), questions)


def next_message(
    kind: str | None, target: DrawnCrop, stated: dict[str, str], operator: Operator, rng: np.random.Generator
) -> str:
    """What the operator says to a question about `kind`, or of their own accord; `stated` takes it in."""
    if kind is None:
        left = {k: v for k, v in target.visible.items() if k not in stated}
        more = fragment(left, rng, 1) if left else {}
        stated.update(more)
        return " and ".join(_words(k, v, target.attributes) for k, v in more.items()) or DONT_KNOW
    fate = rng.random()
    truth = target.attributes.get(kind)
    if truth is None or fate < operator.unsure:
        return DONT_KNOW
    if fate < operator.unsure + operator.wrong:
        others = [value for value in KINDS[kind] if value != truth]
        truth = others[int(rng.integers(len(others)))]
    stated[kind] = truth
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
    """The best rank of these crops, from 1; behind all candidates where none is listed."""
    wanted = set(ids)
    ranks = (rank for rank, one in enumerate(ranking.candidates, 1) if one.image_id in wanted)
    return next(ranks, len(ranking.candidates) + 1)


def _words(kind: str, value: str, attributes: Mapping[str, str]) -> str:
    """ "Red hat" may be a cap: a colour that was not asked for is told with its thing."""
    thing = next((thing for thing, colour in COLOUR_OF.items() if colour == kind), None)
    if thing in ("hat", "bag", "shoes") and attributes.get(thing, "none") != "none":
        return f"{value} {attributes[thing]}"
    return phrase(Attribute(kind, value))


def run_dialogue(
    seed: int,
    identities: int,
    rounds: int,
    operator: Operator,
    searchers: Workers,
    *,
    work: Path,
    out: Path | None = None,
    progress: StepProgress | None = None,
    version: int = WORLD_VERSION,
) -> Result:
    """A conversation about each of `identities` people.

    Raises:
        HarnessError: no round or no people, or `work` holds another evaluation. EncoderError, ModelError.
        Unfinished: other shards have not done their part.
    """
    if rounds < 1 or identities < 1 or seed < 0:
        raise HarnessError(
            f"a dialogue needs at least one round, one identity and a seed of 0 or more, not "
            f"{rounds}, {identities} and {seed}"
        )
    began = time.perf_counter()
    searchers.opened  # noqa: B018 (models that cannot be had are refused before anything is drawn)
    progress = progress or step_progress()
    world = one_outfit(seed, identities, version)
    begin(
        work,
        {
            "dialogue": [version, seed, identities, rounds, asdict(operator)],
            "models": searchers.models.fingerprint(),
        },
    )
    database = searchers.shard.gallery(work)
    ids = index_gallery(
        [record_of(crop) for crop in world.gallery], searchers.opened, work, database, progress
    )
    people: dict[str, list[int]] = {}
    for column, crop in enumerate(world.gallery):
        people.setdefault(crop.person_id, []).append(column)
    rng = np.random.default_rng((seed, 103))
    talks, files = [], {}
    for number, columns in enumerate(people.values()):
        seen = [c for c in columns if not world.gallery[c].shot.infrared] or columns
        target = world.gallery[seen[int(rng.integers(len(seen)))]]
        mine = tuple(int(i) for i in ids[columns] if i >= 0)
        talks.append(Talk(database, mine, target, seed * 100_000 + number, rounds, operator))
        files[talks[-1].seed] = work / "talks" / f"{number:05d}.json"
    own = searchers.shard.own(talks)
    left = [talk for talk in own if not files[talk.seed].is_file()]
    done = len(own) - len(left)
    progress("talk", done, len(own))
    for talk, held in searchers.run(hold, left):
        kept = {"ranks": held.ranks.tolist(), "said": held.messages, "asked": held.questions}
        write_file(files[talk.seed], json.dumps(kept))
        done += 1
        progress("talk", done, len(own))
    require_all(files.values(), searchers.shard)
    held_all = [json.loads(file.read_text("utf-8")) for file in files.values()]
    by_figure = figures(np.array([one["ranks"] for one in held_all]))
    by_round = by_figure["recall"]
    ranker = searchers.opened.engine(work / "gallery.db").ranker.name
    assert isinstance(by_round, dict)
    result = Result(
        kind="dialogue",
        benchmark="synthetic",
        settings={
            f"round {turn}": {ranker: {f"rank{k}": by_round[f"@{k}"][turn] for k in TOPS}}
            for turn in range(rounds + 1)
        },
        model=searchers.opened.described(),
        world={"version": version, "seed": seed, "identities": identities, "views": VIEWS},
        seconds={"total": time.perf_counter() - began},
        notes=(
            f"A simulated operator: {operator.wrong:.0%} of answers wrong, {operator.unsure:.0%} "
            '"I don\'t know"; words alone, no clicks.',
            "recall@k: among the first k now; hits@k: by then at least once; BRI: best log rank integral "
            "(Lee et al., ACL 2024), natural logarithm, lower is better.",
        ),
        extra={
            **by_figure,
            "rounds": rounds,
            "operator": asdict(operator),
            "questions_asked": float(np.mean([one["asked"] for one in held_all])),
            "example": held_all[0]["said"],
        },
    )
    if out is not None:
        result.write(out)
    return result


def dialogue_table(result: Result) -> str:
    """A row per round, percent, as Markdown; then BRI."""
    extra = result.extra
    lines = [
        "| round | recall@1 | recall@5 | recall@10 | hits@1 | hits@5 | hits@10 | median rank |",
        "| ----: | -------: | -------: | --------: | -----: | -----: | ------: | ----------: |",
    ]
    for turn in range(int(extra["rounds"]) + 1):
        shares = [f"{100 * extra[which][f'@{k}'][turn]:.1f}" for which in ("recall", "hits") for k in TOPS]
        cells = [str(turn), *shares, f"{extra['median_rank'][turn]:.1f}"]
        widths = (5, 8, 8, 9, 6, 6, 7, 11)
        lines.append("| " + " | ".join(c.rjust(w) for c, w in zip(cells, widths, strict=True)) + " |")
    world = result.world
    lines += [
        "",
        f"BRI {extra['bri']:.3f}; the chat asked {extra['questions_asked']:.1f} questions a conversation.",
        f"World version {world['version']}, seed {world['seed']}, {world['identities']} identities; "
        f"{result.seconds['total']:.0f} s.",
        *result.notes,
    ]
    return "\n".join(lines)
