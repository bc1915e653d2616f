"""`python -m training caption`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from training.commands.sources import add_sources

HELP = "tell what training pictures show, by a Qwen2-VL or an OpenAI-compatible server; a stopped run goes on"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_sources(parser)
    parser.add_argument(
        "--captioner", required=True, help="a Qwen2-VL folder or hub name, or an address: https://host/v1"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE.jsonl", help="a line for each picture"
    )
    parser.add_argument("--model", default="gpt-4o", help="the model that a server is asked for")
    parser.add_argument(
        "--key-variable", default="OPENAI_API_KEY", help="environment variable that holds the server's key"
    )
    parser.add_argument("--batch", type=int, default=8, help="pictures at once")
    parser.add_argument("--device", default="cpu", help="of a local model: cpu, cuda, cuda:1")
    parser.add_argument("--all", action="store_true", help="also pictures that have captions or attributes")


def run(chosen: argparse.Namespace) -> int:
    from app.model.checkpoint import ModelError
    from training.captioning.captioners import Captioner, CaptionerError, LocalCaptioner, RemoteCaptioner
    from training.captioning.run import tell_all
    from training.datasets.errors import DataSetError
    from training.datasets.load import load_many, parse_names

    if chosen.batch < 1:
        print("--batch is 1 or more", file=sys.stderr)
        return 2
    try:
        datasets = load_many(parse_names(chosen.data), chosen.root)
        records = [r for dataset in datasets for r in dataset.train]
        wanted = [r for r in records if chosen.all or not (r.captions or r.attributes)]
        print(
            f"{len(wanted)} of {len(records)} training pictures have no caption and no attributes", flush=True
        )
        if chosen.captioner.startswith(("http://", "https://")):
            key = os.environ.get(chosen.key_variable, "")
            captioner: Captioner = RemoteCaptioner(chosen.captioner, chosen.model, key, batch=chosen.batch)
        else:
            captioner = LocalCaptioner(chosen.captioner, device=chosen.device, batch=chosen.batch)
        found = tell_all(wanted, chosen.root, captioner, chosen.out, progress=_progress)
    except (DataSetError, CaptionerError, ModelError, OSError) as problem:
        print(problem, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nstopped; the same command goes on behind the last line of {chosen.out}", file=sys.stderr)
        return 130
    print(f"{found.told} told now, {found.before} before, in {chosen.out}")
    for title, rows in (("refused", found.refused), ("unreadable", found.unreadable)):
        if rows:
            print(f"{len(rows)} {title}, first {rows[0][0]}: {rows[0][1]}")
    if found.drawn:
        print(f"{found.drawn} drawn pictures have no file and were left out")
    return 0


def _progress(done: int, total: int) -> None:
    print(f"\r{done:,} of {total:,} pictures", end="\n" if done == total else "", file=sys.stderr, flush=True)
