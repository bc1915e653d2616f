"""Many operators at once, over HTTP against the app as a user starts it, with its demo gallery and models.

    python -m tests.benchmarks.operators [--operators 1 5 20 50] [--think SECONDS] [--minutes M] [--model SPEC ...]
                                         [--ray REPLICAS]

Each operator is a client with a scripted conversation of its own. Prints for each number of them the median and the
95th percentile of the time until an answer is here, answers a second, the processor's seconds that each took, memory,
and how many answers had other candidates than the same conversation has alone. --model is passed on to the app, and may
be given several times to compare: a folder, or where the model is served. --ray measures each model a second time, by
an app with --serve ray and so many replicas, a number or bounds such as 1-4 (needs requirements-scale.txt); memory and
processor time are then of the app, its Ray and the replicas together. --minutes goes on with the largest number, each
conversation by a new client as operators come and go, and prints each minute the answers and conversations so far, the
app's threads and the memory.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from gradio_client import Client

from app.settings import DEMO_MODEL
from tests.benchmarks.processes import memory, memory_by_kind, processor, taken, told
from tests.serving import Served, serving

CONVERSATIONS = 20
PEOPLE = ("a man", "a woman", "an elderly man", "a young woman", "somebody")
CLOTHES = ("in a {} jacket", "in a {} coat", "in a {} shirt", "in a {} dress", "in a {} hoodie")
COLOURS = ("red", "blue", "black", "white", "green", "grey", "brown", "yellow")
EVERY = 60.0  # seconds, between two lines of memory
MORE = (
    "with a backpack",
    "without a hat",
    "with black trousers",
    "only camera 2",
    "with a handbag",
    "any camera",
)
WITH_FIRST = "search with the first"  # no message: the first candidate is searched with

Answer = list[int]  # image ids, best first


def script(number: int) -> list[str]:
    """What operator `number` says, one after the other."""
    rng = random.Random(number % CONVERSATIONS)
    clothes = rng.choice(CLOTHES).format(rng.choice(COLOURS))
    first, second = rng.sample(MORE, 2)
    return [f"{rng.choice(PEOPLE)} {clothes}", first, second, WITH_FIRST, f"the same person, but {clothes}"]


@dataclass
class Load:
    """What so many operators saw. seconds: until each answer; different: answers that are not those of the
    conversation alone.
    """

    operators: int
    seconds: list[float] = field(default_factory=list)
    different: int = 0
    wall: float = 0.0
    processor: float = 0.0  # seconds, of the app and all that it started
    memory: float = 0.0  # MB, likewise
    conversations: int = 0  # that ended


def operator(url: str, number: int, think: float) -> Iterator[tuple[int, float, Answer]]:
    """A client's whole conversation: the turn of each answer, its seconds and its candidates."""
    client = Client(url, verbose=False)
    rng = random.Random(number)
    shown: Answer = []
    try:
        for turn, text in enumerate(script(number)):
            time.sleep(rng.uniform(0, 2 * think))
            began = time.perf_counter()
            if text == WITH_FIRST:
                _, cards, _ = client.predict(shown[0], api_name="/search_with")
            else:
                _, cards, _ = client.predict({"text": text, "files": []}, api_name="/chat")
            shown = [card["image_id"] for card in cards]
            yield turn, time.perf_counter() - began, shown
    finally:
        client.close()


def load(
    served: Served, operators: int, think: float, alone: dict[tuple[int, int], Answer], minutes: float = 0.0
) -> Load:
    """alone: (conversation, turn) -> its answer. minutes: each operator begins anew for so long, as another one."""
    found, lock, until = Load(operators), threading.Lock(), time.monotonic() + 60 * minutes

    def one(number: int) -> None:
        while True:
            for turn, seconds, answer in operator(served.url, number, think):
                with lock:
                    found.seconds.append(seconds)
                    found.different += alone[number % CONVERSATIONS, turn] != answer
            with lock:
                found.conversations += 1
            if time.monotonic() >= until:
                return
            number += operators

    with measured(served, found), ThreadPoolExecutor(operators) as threads:
        began, working = time.perf_counter(), [threads.submit(one, number) for number in range(operators)]
        while minutes and wait(working, EVERY).not_done:
            show_memory(served, found, time.perf_counter() - began)
        for each in working:
            each.result()
    return found


def pid(served: Served) -> int:
    assert served.process is not None
    return served.process.pid


def show_memory(served: Served, found: Load, seconds: float) -> None:
    threads = psutil.Process(pid(served)).num_threads()
    print(
        f"    {seconds:6.0f} s {len(found.seconds):6d} answers {found.conversations:5d} conversations "
        f"{threads:4d} threads {memory(pid(served)):6.0f} MB",
        flush=True,
    )


@contextmanager
def measured(served: Served, found: Load) -> Iterator[None]:
    """What the app, and all that it started, takes in this block."""
    before, began = processor(pid(served)), time.perf_counter()
    yield
    found.wall = time.perf_counter() - began
    found.processor = taken(before, processor(pid(served)))
    found.memory = memory(pid(served))


def show(one: Load) -> None:
    p50, p95 = np.percentile(one.seconds, (50, 95))
    rate, each = len(one.seconds) / one.wall, one.processor / len(one.seconds)
    times = f"{p50:7.2f} {p95:7.2f} {max(one.seconds):7.2f}"
    print(
        f"{one.operators:9d} {len(one.seconds):8d} {times} {rate:9.2f} {each:10.2f} {one.memory:8.0f} "
        f"{one.different:9d}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--operators", type=int, nargs="+", default=[1, 5, 20, 50])
    parser.add_argument("--think", type=float, default=5.0, help="seconds before a message, on average")
    parser.add_argument("--minutes", type=float, default=0.0)
    parser.add_argument("--model", action="append")
    parser.add_argument("--ray", metavar="REPLICAS", help="measure on Ray Serve too: a number, or 1-4")
    given = parser.parse_args()
    places = [("in the process", [])]
    if given.ray:
        places.append((f"on Ray Serve, --replicas {given.ray}", ["--serve", "ray", "--replicas", given.ray]))
    for model in given.model or [str(DEMO_MODEL)]:
        for place, argv in places:
            with (
                tempfile.TemporaryDirectory() as folder,
                serving(Path(folder), "--model", model, *argv) as served,
            ):
                run(served, f"{model}, {place}", given.operators, given.think, given.minutes)


def run(served: Served, title: str, operators: Sequence[int], think: float, minutes: float) -> None:
    loads = " ".join(f"{one:.1f}" for one in psutil.getloadavg())
    print(
        f"{title}; {think:g} s of thought before a message; {psutil.cpu_count()} cores, load {loads}",
        flush=True,
    )
    print("operators  answers  p50, s  p95, s  max, s  answers/s  CPU s each       MB  different", flush=True)
    alone: dict[tuple[int, int], Answer] = {}
    first = Load(1)
    with measured(served, first):
        for number in range(CONVERSATIONS if minutes else min(CONVERSATIONS, max(operators))):
            for turn, seconds, answer in operator(served.url, number, 0.0):
                alone[number, turn] = answer
                first.seconds.append(seconds)
    for count in operators:
        show(first if count == 1 else load(served, count, think, alone))
    if minutes:
        show(load(served, max(operators), think, alone, minutes))
    print(f"memory at the end, MB: {told(memory_by_kind(pid(served)))}", flush=True)


if __name__ == "__main__":
    main()
