"""Instruction samples per second of one core, text alone, per stage: `python -m tests.benchmarks.samples`.

Seconds of processor time, not of the clock, so that other work on the machine does not count. The records are
made up: nothing is drawn or decoded.
"""

from __future__ import annotations

import argparse
import time

from tests.instruction_columns import made_up
from training.instructions.mixtures import MIXTURES
from training.instructions.stage_samples import SampleMaker


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="samples per stage and data")
    chosen = parser.parse_args()
    print(f"{'records':>8} {'texts':<11} {'stage':>5} {'prepared in s':>14} {'samples per s':>14}")
    for people in (300, 9_200):
        for texts, shares in (("attributes", 0.0), ("captions", 1.0)):
            columns = made_up(people, (2, 20), captions=shares, sets=3)
            for number, mixture in MIXTURES.items():
                start = time.process_time()
                stream = SampleMaker(mixture, columns, 0)
                for index in range(3000):  # orders of the mixture are made as they are met
                    stream.sample(index)
                ready = time.process_time()
                # Spread over the stage, as shuffled reading would be.
                step = mixture.samples // chosen.count - 1
                for index in range(chosen.count):
                    stream.sample(index * step)
                rate = chosen.count / (time.process_time() - ready)
                print(
                    f"{len(columns):8} {texts:<11} {number:5} {ready - start:14.2f} {rate:14,.0f}", flush=True
                )


if __name__ == "__main__":
    main()
