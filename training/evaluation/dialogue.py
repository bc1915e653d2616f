"""A simulated operator talks to the real chat: how soon is the person found, round by round, and by which questions?

Protocol. The gallery holds mixed drawn people over a day (as in text-to-image). An operator has seen one crop
of a person and begins with two attributes that show in it. Each round, the chat answers as it does on the
screen: it searches, reads the candidates, and may ask. The operator answers what a witness of that crop knows
(training.evaluation.witness), at one rate wrongly, and says "I don't know" to all else. Where nothing is asked, nothing
more is said, and the list stays as it is. Clicks are left out: words alone.

Every conversation is held by three askers, of the same person with the same witness: `gain`, the chat's own, asks
what is expected to tell most, where it is worth an answer; `random` asks any open question; `fixed` asks the first open
one in the order of app.chat.questions.SENTENCES. The latter two always ask where anything is open.

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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from app.chat.questions import DONT_KNOW, WORTH_ASKING, Question, most_telling
from app.refused import Refused
from app.retrieval.ranking import Ranking
from app.service import ChatService
from gallery_store.console import StepProgress, step_progress
from gallery_store.files import write_file
from training.evaluation.dialogue_figures import TOPS, figures, log_rank_integrals, stopped_below
from training.evaluation.harness import index_gallery
from training.evaluation.metrics import paired_difference
from training.evaluation.results import Result
from training.evaluation.synthetic_people import SPLIT, VIEWS, one_outfit, record_of
from training.evaluation.witness import Operator, witness_of
from training.evaluation.work_folder import HarnessError, begin, require_all
from training.evaluation.workers import OpenedModels, Workers
from training.synthetic.captions import caption
from training.synthetic.people import WORLD_VERSION
from training.synthetic.truth import kinds_of_world
from training.synthetic.world import DAY, DrawnCrop

ALL_CROPS = 10**6  # candidates of a search: every crop of the gallery
DEFAULT_OPERATOR = Operator()
WORTHS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75)  # bits, to choose WORTH_ASKING among
GAIN, RANDOM, FIXED = ASKERS = ("gain", "random", "fixed")


@dataclass(frozen=True)
class DialoguePlan:
    """What is held. seeds: a world of `identities` people each, of one split of the drawn people. rounds: answers of
    the operator. worth: bits, from which `gain` asks. world: the number of the drawn world.
    """

    seeds: tuple[int, ...]
    identities: int
    rounds: int
    operator: Operator = DEFAULT_OPERATOR
    split: str = SPLIT
    worth: float = WORTH_ASKING
    world: int = WORLD_VERSION

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.identities < 1 or not self.seeds or min(self.seeds) < 0:
            raise HarnessError(
                "a dialogue needs at least one round, one identity and one world, and seeds of 0 or more, not "
                f"{self.rounds}, {self.identities} and the seeds {list(self.seeds)}"
            )


@dataclass(frozen=True)
class Talk:
    """One conversation to be held: a task for a searcher. target: the crop that the operator has seen.

    file: where it is kept. ids: the target person's crops in the gallery. asker: of ASKERS. seed: the witness's.
    """

    file: Path
    gallery: Path
    ids: tuple[int, ...]
    target: DrawnCrop
    asker: str
    seed: int
    plan: DialoguePlan


@dataclass(frozen=True)
class HeldTalk:
    """What came of a conversation. ranks: int64 (rounds + 1,), from 1. messages: the operator's. asked: the kinds
    that the chat asked about. bits: what each question was expected to tell.
    """

    ranks: np.ndarray
    messages: tuple[str, ...]
    asked: tuple[str, ...]
    bits: tuple[float, ...]


def hold(opened: OpenedModels, talk: Talk) -> HeldTalk:
    """One conversation from the first message to the last answer. Raises HarnessError when a search fails."""
    engine = opened.engine(talk.gallery)
    ask = asker(talk.asker, talk.seed, talk.plan.worth)
    service = ChatService(engine, most_listed=ALL_CROPS, today=DAY.date(), audited=False, ask=ask)
    session = service.get("simulated operator", str(talk.seed))
    rng = np.random.default_rng((talk.seed, 83))
    witness = witness_of(talk.target.visible, talk.plan.operator, rng, kinds_of_world(talk.plan.world))
    message = caption(witness.first, rng, 0.0, talk.plan.world)
    messages: list[str] = []
    asked: list[Question] = []
    ranks: list[int] = []
    ranking: Ranking | None = None
    for turn in range(talk.plan.rounds + 1):
        try:
            session.say(message)
        except Refused as problem:
            raise HarnessError(str(problem)) from problem
        messages.append(message)
        ranking = session.ranking or ranking  # where nothing is looked for any more, the last list counts
        ranks.append(_rank(ranking, talk.ids) if ranking else engine.store.count() + 1)
        if turn == talk.plan.rounds or session.question is None:
            break
        asked.append(session.question)
        message = witness.answer(session.question.kind)
    ranks += ranks[-1:] * (talk.plan.rounds + 1 - len(ranks))
    kinds, bits = tuple(one.kind for one in asked), tuple(one.bits for one in asked)
    return HeldTalk(np.array(ranks, np.int64), tuple(messages), kinds, bits)


def asker(name: str, seed: int, worth: float) -> Callable[[Sequence[Question]], Question | None]:
    """Which of the open questions is put. name: of ASKERS. seed: of `random`. worth: bits, of `gain`."""
    if name == GAIN:
        return partial(most_telling, worth=worth)
    if name == FIXED:
        return lambda questions: questions[0] if questions else None
    rng = np.random.default_rng((seed, 107))
    return lambda questions: questions[int(rng.integers(len(questions)))] if questions else None


def _rank(ranking: Ranking, ids: Sequence[int]) -> int:
    """The best rank of these crops, from 1; behind all candidates where none is listed."""
    wanted = set(ids)
    ranks = (rank for rank, one in enumerate(ranking.candidates, 1) if one.image_id in wanted)
    return next(ranks, len(ranking.candidates) + 1)


def run_dialogue(
    plan: DialoguePlan,
    searchers: Workers,
    *,
    work: Path,
    out: Path | None = None,
    progress: StepProgress | None = None,
) -> Result:
    """Conversations about each person of the plan's worlds, by each asker.

    Raises:
        HarnessError: `work` holds another evaluation. EncoderError, ModelError.
        Unfinished: other shards have not done their part.
    """
    began = time.perf_counter()
    searchers.opened  # noqa: B018 (models that cannot be had are refused before anything is drawn)
    progress = progress or step_progress()
    begin(work, {"dialogue": asdict(plan), "models": searchers.models.fingerprint()})
    talks = [
        talk for seed in plan.seeds for talk in _talks(plan, seed, work / f"seed-{seed}", searchers, progress)
    ]
    own = searchers.shard.own(talks)
    left = [talk for talk in own if not talk.file.is_file()]
    done = len(own) - len(left)
    progress("talk", done, len(own))
    for talk, held in searchers.run(hold, left):
        kept = {"ranks": held.ranks.tolist(), "said": held.messages, "asked": held.asked, "bits": held.bits}
        write_file(talk.file, json.dumps(kept))
        done += 1
        progress("talk", done, len(own))
    require_all((talk.file for talk in talks), searchers.shard)
    result = _result(plan, talks, searchers, time.perf_counter() - began)
    if out is not None:
        result.write(out)
    return result


def _talks(
    plan: DialoguePlan, seed: int, folder: Path, searchers: Workers, progress: StepProgress
) -> Iterator[Talk]:
    """The conversations about one world's people, whose gallery is made first."""
    folder.mkdir(parents=True, exist_ok=True)
    world = one_outfit(seed, plan.identities, plan.world, plan.split)
    database = searchers.shard.gallery(folder)
    records = [record_of(crop) for crop in world.gallery]
    ids = index_gallery(records, searchers.opened, folder, database, progress)
    people: dict[str, list[int]] = {}
    for column, crop in enumerate(world.gallery):
        people.setdefault(crop.person_id, []).append(column)
    rng = np.random.default_rng((seed, 103))
    for number, columns in enumerate(people.values()):
        seen = [c for c in columns if not world.gallery[c].shot.infrared] or columns
        target = world.gallery[seen[int(rng.integers(len(seen)))]]
        mine = tuple(int(i) for i in ids[columns] if i >= 0)
        for name in ASKERS:
            file = folder / "talks" / f"{number:05d}-{name}.json"
            yield Talk(file, database, mine, target, name, seed * 100_000 + number, plan)


def _result(plan: DialoguePlan, talks: Sequence[Talk], searchers: Workers, seconds: float) -> Result:
    held = [json.loads(talk.file.read_text("utf-8")) for talk in talks]
    by_asker = {}
    ranks: dict[str, np.ndarray] = {}
    for name in ASKERS:
        mine = [one for talk, one in zip(talks, held, strict=True) if talk.asker == name]
        ranks[name] = np.array([one["ranks"] for one in mine])
        by_seed = ranks[name].reshape(len(plan.seeds), -1, plan.rounds + 1)
        by_asker[name] = {
            **figures(ranks[name]),
            "questions_asked": float(np.mean([len(one["asked"]) for one in mine])),
            "unknown": _share_unknown(mine),
            "by_seed": [
                {
                    "seed": seed,
                    "recall@1": float((of_seed[:, -1] <= 1).mean()),
                    "bri": float(log_rank_integrals(of_seed).mean()),
                }
                for seed, of_seed in zip(plan.seeds, by_seed, strict=True)
            ],
        }
    differences = {
        f"{GAIN} - {other}": {
            "recall@1": asdict(
                paired_difference(
                    (ranks[GAIN][:, -1] <= 1).astype(float), (ranks[other][:, -1] <= 1).astype(float)
                )
            ),
            "bri": asdict(
                paired_difference(log_rank_integrals(ranks[GAIN]), log_rank_integrals(ranks[other]))
            ),
        }
        for other in (RANDOM, FIXED)
    }
    bits = [one["bits"] for talk, one in zip(talks, held, strict=True) if talk.asker == GAIN]
    by_worth = []
    for worth in sorted({plan.worth, *(worth for worth in WORTHS if worth >= plan.worth)}):
        stopped, questions = stopped_below(ranks[GAIN], bits, worth)
        recall, bri = float((stopped[:, -1] <= 1).mean()), float(log_rank_integrals(stopped).mean())
        by_worth.append({"worth": worth, "questions_asked": questions, "recall@1": recall, "bri": bri})
    ranker = searchers.opened.engine(talks[0].gallery).ranker.name
    return Result(
        kind="dialogue",
        benchmark="synthetic",
        settings={
            f"{name}, round {turn}": {
                ranker: {f"rank{k}": by_asker[name]["recall"][f"@{k}"][turn] for k in TOPS}
            }
            for name in ASKERS
            for turn in range(plan.rounds + 1)
        },
        model=searchers.opened.described(),
        world={
            "version": plan.world,
            "split": plan.split,
            "seeds": " ".join(map(str, plan.seeds)),
            "identities": plan.identities,
            "views": VIEWS,
        },
        seconds={"total": seconds},
        notes=(
            "A simulated operator who knows of one crop what a witness would (app.chat.questions.WITNESS_KNOWS), "
            f"{plan.operator.wrong:.0%} of it wrongly, and says “I don't know” to all else; words alone, no clicks.",
            f"gain asks what is expected to tell most, from {plan.worth:g} bits; random any open question; fixed the "
            "first open one of a fixed order.",
            "recall@k: among the first k now; hits@k: by then at least once; BRI: best log rank integral "
            "(Lee et al., ACL 2024), natural logarithm, lower is better.",
        ),
        extra={
            **by_asker[GAIN],
            "rounds": plan.rounds,
            "operator": asdict(plan.operator),
            "worth": plan.worth,
            "askers": by_asker,
            "asker_differences": differences,
            "by_worth": by_worth,
            "example": held[0]["said"],
        },
    )


def _share_unknown(held: Sequence[Mapping[str, Any]]) -> float:
    """Of the answers, those that were "I don't know"; 0 where nothing was asked."""
    answers = [message for one in held for message in one["said"][1:]]
    return float(np.mean([message == DONT_KNOW for message in answers])) if answers else 0.0
