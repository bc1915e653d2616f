"""Which samples go through the model together: a pure function of (step, lengths).

A step is a fixed run of consecutive samples, so that a run resumes anywhere. Within a step, samples of like
length share a forward pass, within a budget of padded tokens; the weights move once, after all passes.
"""

from __future__ import annotations

from collections.abc import Sequence


def step_indices(step: int, samples_per_step: int, samples: int) -> range:
    """The samples of a step, counted from 0. The last step may have fewer."""
    return range(step * samples_per_step, min((step + 1) * samples_per_step, samples))


def cut(lengths: Sequence[int], budget: int, parts: int = 1) -> list[list[int]]:
    """Places of `lengths` in passes of at most `budget` padded tokens (the longest times the count).

    Longest first: what does not fit into memory fails in the first step, not after a night. A sample longer
    than the budget has a pass of its own. The number of passes is a multiple of `parts` (devices that must all
    make equally many); where samples are too few for that, some passes are empty.
    """
    order = sorted(range(len(lengths)), key=lambda place: (-lengths[place], place))
    passes: list[list[int]] = []
    for place in order:
        if passes and lengths[passes[-1][0]] * (len(passes[-1]) + 1) <= budget:
            passes[-1].append(place)
        else:
            passes.append([place])
    while len(passes) % parts:
        largest = max(range(len(passes)), key=lambda i: (len(passes[i]), -i))
        whole = passes[largest]
        if len(whole) < 2:
            passes.append([])
            continue
        half = (len(whole) + 1) // 2
        passes[largest : largest + 1] = [whole[:half], whole[half:]]
    return passes


def is_list_step(step: int, share: float) -> bool:
    """Whether a step is a packed list; such steps are spread evenly and make up `share` of any stretch."""
    return int((step + 1) * share + 1e-9) > int(step * share + 1e-9)
