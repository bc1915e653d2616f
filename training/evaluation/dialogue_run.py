"""Runs the dialogue benchmark (see training.evaluation.dialogue) into one Result; resumes in its work folder."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from training.evaluation.dialogue import TOPS, Operator, Talk, figures, hold
from training.evaluation.harness import HarnessError, Progress, begin, index_gallery, show_progress
from training.evaluation.results import Result, write_bytes
from training.evaluation.searchers import Searchers
from training.evaluation.synthetic_people import VIEWS, one_outfit, record_of
from training.synthetic.people import WORLD_VERSION


def run_dialogue(
    seed: int,
    identities: int,
    rounds: int,
    operator: Operator,
    searchers: Searchers,
    *,
    work: Path,
    out: Path | None = None,
    progress: Progress | None = None,
) -> Result:
    """A conversation about each of `identities` people.

    Raises:
        HarnessError: no round or no people, or `work` holds another evaluation. EncoderError, ModelError.
    """
    if rounds < 1 or identities < 1 or seed < 0:
        raise HarnessError(
            f"a dialogue needs at least one round, one identity and a seed of 0 or more, not "
            f"{rounds}, {identities} and {seed}"
        )
    began = time.perf_counter()
    searchers.opened  # noqa: B018 (models that cannot be had are refused before anything is drawn)
    told = progress or show_progress
    world = one_outfit(seed, identities)
    begin(
        work,
        {
            "dialogue": [WORLD_VERSION, seed, identities, rounds, asdict(operator)],
            "models": searchers.models.fingerprint(),
        },
    )
    ids = index_gallery([record_of(crop) for crop in world.gallery], searchers.opened, work, told)
    people: dict[str, list[int]] = {}
    for column, crop in enumerate(world.gallery):
        people.setdefault(crop.person_id, []).append(column)
    rng = np.random.default_rng((seed, 103))
    talks, files = [], {}
    for number, columns in enumerate(people.values()):
        seen = [c for c in columns if not world.gallery[c].shot.infrared] or columns
        target = world.gallery[seen[int(rng.integers(len(seen)))]]
        mine = tuple(int(i) for i in ids[columns] if i >= 0)
        talk = Talk(work / "gallery.db", mine, target, seed * 100_000 + number, rounds, operator)
        files[talk.seed] = work / "talks" / f"{number:05d}.json"
        if not files[talk.seed].is_file():
            talks.append(talk)
    done = len(people) - len(talks)
    told("talk", done, len(people))
    for talk, held in searchers.run(hold, talks):
        kept = {"ranks": held.ranks.tolist(), "said": held.said, "asked": held.asked}
        write_bytes(files[talk.seed], json.dumps(kept).encode())
        done += 1
        told("talk", done, len(people))
    held_all = [json.loads(file.read_text("utf-8")) for file in files.values()]
    found = figures(np.array([one["ranks"] for one in held_all]))
    by_round = found["recall"]
    assert isinstance(by_round, dict)
    result = Result(
        kind="dialogue",
        benchmark="synthetic",
        settings={
            f"round {turn}": {"combined": {f"rank{k}": by_round[f"@{k}"][turn] for k in TOPS}}
            for turn in range(rounds + 1)
        },
        model=searchers.opened.described(),
        world={"version": WORLD_VERSION, "seed": seed, "identities": identities, "views": VIEWS},
        seconds={"total": time.perf_counter() - began},
        notes=(
            f"A simulated operator: {operator.wrong:.0%} of answers wrong, {operator.unsure:.0%} "
            '"I don\'t know"; words alone, no clicks.',
            "recall@k: among the first k now; hits@k: by then at least once; BRI: best log rank integral "
            "(Lee et al., ACL 2024), natural logarithm, lower is better.",
        ),
        extra={
            **found,
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
