"""Stacks: the candidates that likely show one person in the same clothes, by their affinity.

Each joins the stack whose best candidate it is most like, if that is likely enough. To compare with the best one alone
keeps a chain of look-alikes from joining two people. How far that is right, `python -m tests.benchmarks.stacks` says.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

ONE_PERSON = 0.7  # from this affinity on two candidates stand in one stack; docs/conversation.md says how often rightly


def stack_leads(affinity: np.ndarray, order: Sequence[int]) -> dict[int, int]:
    """Row -> row of the best candidate of its stack, of those that do not lead one themselves.

    affinity: float (n, n), 0..1, as app.retrieval.affinity has it. order: rows, best first.
    """
    leading: list[int] = []
    leads: dict[int, int] = {}
    for row in order:
        likely = affinity[row, leading] if leading else np.zeros(0)
        if len(likely) and likely.max() >= ONE_PERSON:
            leads[row] = leading[int(likely.argmax())]
        else:
            leading.append(row)
    return leads
