"""What it costs to let the checkpoint read a message too: `python -m tests.benchmarks.message_reading [--model DIR]`.

Messages of tests/chat_sentences.txt are read by the chat's parser alone, and put to the checkpoint with the form as it
is at run time (--model-reads). Printed are the parser's time, the checkpoint's time, tokens and time a token, with the
form's constraint and without, and what became of the forms. Without --model it is a toy checkpoint of random weights,
whose times are of the machinery alone and whose forms are noise.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

import numpy as np

from app.chat.search_state import GalleryFacts, SearchState, apply
from app.chat.two_readings import invents, other_reading
from app.chat.understanding import understand
from app.model.message_reading import MOST_TOKENS, parse_reading, reading_prompt, reading_schema
from app.model.reid_model import ReidModel
from tests.tiny_qwen import tiny_folder

SENTENCES = Path(__file__).parents[1] / "chat_sentences.txt"
FACTS = GalleryFacts(cameras=("1", "2", "3"), hours=tuple(range(24)))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument(
        "--model", default="", help="a checkpoint that talks (default: a toy of random weights)"
    )
    options.add_argument("--messages", type=int, default=40)
    given = options.parse_args()
    lines = [line.split("  ->")[0].strip() for line in SENTENCES.read_text("utf-8").splitlines()]
    lines = [line for line in lines if line and not line.startswith(("#", "["))]
    messages = lines[:: max(1, len(lines) // given.messages)][: given.messages]
    model = ReidModel.load(given.model or tiny_folder())
    began = time.perf_counter()
    model.write(reading_prompt(messages[0]), [], limit=1, schema=reading_schema())
    print(f"first message, with the weights and the vocabulary read: {time.perf_counter() - began:.2f} s")

    parser, came_to = [], Counter[str]()
    for message in messages:
        began = time.perf_counter()
        understand(message, SearchState(), FACTS)
        parser.append(time.perf_counter() - began)
    print(f"parser: {1000 * np.median(parser):.1f} ms a message (median of {len(messages)})")
    for name, schema in (("form", reading_schema()), ("free", None)):
        seconds, tokens = [], []
        for message in messages:
            said: list[str] = []
            began = time.perf_counter()
            answer = model.write(
                reading_prompt(message), [], limit=MOST_TOKENS, schema=schema, said=said.append
            )
            seconds.append(time.perf_counter() - began)
            tokens.append(len(said))
            if schema is not None:
                came_to[_came_to(answer.text if answer.ended else "", message)] += 1
        print(
            f"{name}: {1000 * np.median(seconds):.0f} ms a message (median), {np.mean(tokens):.0f} tokens with text, "
            f"{1000 * np.sum(seconds) / np.sum(tokens):.2f} ms each"
        )
    print("forms: " + ", ".join(f"{count} {what}" for what, count in came_to.most_common()))


def _came_to(answer: str, message: str) -> str:
    reading = parse_reading(answer)
    if reading is None:
        return "cut at the bound"
    if invents(reading, message):
        return "with words that were not said"
    own = apply(SearchState(), understand(message, SearchState(), FACTS))
    return "agree" if other_reading(reading, SearchState(), own, FACTS) is None else "differ"


if __name__ == "__main__":
    main()
