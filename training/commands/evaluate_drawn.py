"""The parts of `python -m training evaluate` that need no data set: drawn people, dialogue, open set."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from training.commands.evaluate import errors, models_of, refused, work_folder

if TYPE_CHECKING:
    from training.evaluation.results import Result
    from training.evaluation.searchers import Searchers


def add_arguments(what: argparse._MutuallyExclusiveGroup, parser: argparse.ArgumentParser) -> None:
    """what: the group of which one is chosen; parser: for the rest."""
    what.add_argument(
        "--dialogue", action="store_true", help="a simulated operator talks to the chat; figures by round"
    )
    what.add_argument(
        "--open-set", action="store_true", help="queries whose person is absent, and the confidences shown"
    )
    drawn = parser.add_argument_group("drawn people: --benchmark synthetic, --dialogue, --open-set")
    drawn.add_argument("--identities", type=int, default=100, metavar="M", help="people in each setting")
    drawn.add_argument("--settings", metavar="A,B", help="of the synthetic benchmark (default: all)")
    drawn.add_argument("--rounds", type=int, default=5, help="answers of the simulated operator")
    drawn.add_argument("--wrong", type=float, default=0.05, help="share of answers that are wrong")
    drawn.add_argument("--unsure", type=float, default=0.15, help='share of answers "I don\'t know"')


def wants(chosen: argparse.Namespace) -> bool:
    """Whether the command line asks for one of these."""
    return bool(chosen.dialogue or chosen.open_set or chosen.benchmark == "synthetic")


def run(chosen: argparse.Namespace) -> int:
    """Raises nothing that its user can mend: that is one sentence and exit code 2."""
    from training.evaluation.searchers import Searchers

    try:
        with Searchers(models_of(chosen), chosen.workers) as searchers, work_folder(chosen) as work:
            if chosen.dialogue:
                result, text = _dialogue(chosen, searchers, Path(work))
            elif chosen.open_set:
                result, text = _open_set(chosen, searchers, Path(work))
            else:
                result, text = _synthetic(chosen, searchers, Path(work))
    except errors() as error:
        return refused(error)
    print(json.dumps(result.to_json(), ensure_ascii=False, allow_nan=False) if chosen.json else text)
    return 0


def _synthetic(chosen: argparse.Namespace, searchers: Searchers, work: Path) -> tuple[Result, str]:
    from training.evaluation.synthetic_run import (
        ALL_RANKERS,
        BEST_CHOICE_QUERIES,
        SETTINGS,
        Plan,
        run_synthetic,
    )
    from training.evaluation.synthetic_table import table

    plan = Plan(
        chosen.seed,
        chosen.identities,
        _names(chosen.settings) or tuple(SETTINGS),
        _names(chosen.rankers) or ALL_RANKERS,
        # 0 asks for all of them
        BEST_CHOICE_QUERIES if chosen.best_choice is None else chosen.best_choice or chosen.identities,
    )
    result = run_synthetic(plan, searchers, work=work, out=chosen.out)
    return result, table(result)


def _dialogue(chosen: argparse.Namespace, searchers: Searchers, work: Path) -> tuple[Result, str]:
    from training.evaluation.dialogue import Operator
    from training.evaluation.dialogue_run import dialogue_table, run_dialogue

    operator = Operator(chosen.wrong, chosen.unsure)
    result = run_dialogue(
        chosen.seed, chosen.identities, chosen.rounds, operator, searchers, work=work, out=chosen.out
    )
    return result, dialogue_table(result)


def _open_set(chosen: argparse.Namespace, searchers: Searchers, work: Path) -> tuple[Result, str]:
    from training.evaluation.open_set_run import open_set_table, run_open_set

    result = run_open_set(chosen.seed, chosen.identities, searchers, work=work, out=chosen.out)
    return result, open_set_table(result)


def _names(given: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (given or "").split(",") if name.strip())
