"""How long until a stranger sees something: `python -m tests.benchmarks.first_answer`.

One run of the app as a user starts it, with the demo gallery and the demo models (or what is given after
`--`, passed on to app.py): first start with its import, second start, first answers, and the median answer.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import tempfile
import time
from pathlib import Path

from gradio_client import Client

from tests.serving import serving

TURNS = (
    "a man in a blue shirt",
    "he has short hair",
    "without a hat",
    "no, the shirt is white",
    "with black trousers",
    "only after 10:00",
    "an elderly woman in a dress with a handbag",
    "it was green",
    "someone with an umbrella",
    "cameras 1 and 2",
    "any camera, any time",
    "a young man in a hoodie with a suitcase",
)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true", help="one object on stdout instead of lines")
    options.add_argument("app", nargs="*", help="settings for app.py, after --")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), given.app)
    if given.json:
        print(json.dumps(figures, indent=2))
        return
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):44} {value:10.2f}")


def measure(folder: Path, argv: list[str]) -> dict[str, float]:
    """Seconds, and crops imported per second."""
    figures: dict[str, float] = {}
    with serving(folder, *argv) as served:
        figures["first_start_to_ready_s"] = served.seconds
        log = served.log.read_text()
        imported = re.search(r"(\d+) crops imported in ([\d.]+) s", log)
        if imported:
            figures["crops_imported_per_second"] = int(imported[1]) / float(imported[2])
    with serving(folder, *argv) as served:
        figures["second_start_to_ready_s"] = served.seconds
        client = Client(served.url, verbose=False)
        figures["first_text_answer_s"], candidates = timed(client, "a woman in a red jacket with a backpack")
        began = time.perf_counter()
        client.predict(candidates[0]["image_id"], api_name="/search_with")
        figures["first_image_answer_s"] = time.perf_counter() - began
        figures["first_image_plus_text_answer_s"], _ = timed(
            client, "the same person, but now in a green coat"
        )
        client.predict(api_name="/reset")
        figures["median_answer_s"] = statistics.median(timed(client, text)[0] for text in TURNS)
        client.close()
    return figures


def timed(client: Client, text: str) -> tuple[float, list[dict]]:
    """Seconds until the answer to a message is here, and its candidates."""
    began = time.perf_counter()
    _, candidates, _ = client.predict(message={"text": text, "files": []}, api_name="/chat")
    return time.perf_counter() - began, candidates


if __name__ == "__main__":
    main()
