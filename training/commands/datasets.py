"""`python -m training datasets | caption | filter | vectors | build`: from pictures on the disk to samples.

Also the arguments that they share with `train`: which data sets, where they lie, and what is known beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from training.commands import Command

WHICH = "data sets, with commas: market1501,msmt17,csv:FILE; synthetic needs no files"


def add_sources(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """--data (required without a default) and --root."""
    parser.add_argument("--data", default=default, required=default is None, help=WHICH)
    parser.add_argument("--root", type=Path, help="the folder below which they lie")


def add_side_files(parser: argparse.ArgumentParser) -> None:
    """--captions, --dropped and --vectors: what other commands wrote about the pictures."""
    parser.add_argument(
        "--captions", type=Path, nargs="*", default=[], help="files that `python -m training caption` wrote"
    )
    parser.add_argument(
        "--dropped", type=Path, nargs="*", default=[], help="files that `python -m training filter` wrote"
    )
    parser.add_argument(
        "--vectors", type=Path, help="a file of `python -m training vectors`, by which look-alikes are found"
    )


def _add_datasets_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", type=Path, required=True, help="the folder in which the data sets lie")
    parser.add_argument(
        "--data", default="", help="only these, with commas: market1501,cuhk03:detected,csv:FILE,synthetic"
    )
    parser.add_argument(
        "--check-pictures", action="store_true", help="also decode every picture; takes minutes"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _run_datasets(chosen: argparse.Namespace) -> int:
    from gallery_store.console import progress_bar
    from training.datasets.faults import DataSetError
    from training.datasets.load import parse_names
    from training.datasets.survey import as_json, survey, table

    try:
        found = survey(
            chosen.root,
            parse_names(chosen.data),
            check=chosen.check_pictures,
            progress=progress_bar("decode", "pictures"),
        )
    except DataSetError as problem:
        print(problem, file=sys.stderr)
        return 2
    if chosen.json:
        print(json.dumps(as_json(chosen.root, found), indent=2))
    else:
        print("\n".join(table(found)))
    return 1 if any(item.problem for item in found) else 0


def _add_caption_arguments(parser: argparse.ArgumentParser) -> None:
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
    parser.add_argument(
        "--device", default="auto", help="of a local model: cpu, cuda, cuda:1; a GPU where there is one"
    )
    parser.add_argument("--all", action="store_true", help="also pictures that have captions or attributes")


def _run_caption(chosen: argparse.Namespace) -> int:
    from app.model.checkpoint import ModelError
    from gallery_store.console import progress_bar
    from gallery_store.encoder import resolve_device
    from training.captioning.captioners import (
        Captioner,
        CaptionerError,
        LocalCaptioner,
        RemoteCaptioner,
        caption_all,
    )
    from training.datasets.faults import DataSetError
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
            device = resolve_device(chosen.device)
            captioner = LocalCaptioner(chosen.captioner, device=device, batch=chosen.batch)
        outcome = caption_all(
            wanted, chosen.root, captioner, chosen.out, progress=progress_bar("caption", "pictures")
        )
    except (DataSetError, CaptionerError, ModelError, OSError) as problem:
        print(problem, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nstopped; the same command goes on behind the last line of {chosen.out}", file=sys.stderr)
        return 130
    print(f"{outcome.described} told now, {outcome.before} before, in {chosen.out}")
    for title, rows in (("refused", outcome.refused), ("unreadable", outcome.unreadable)):
        if rows:
            print(f"{len(rows)} {title}, first {rows[0][0]}: {rows[0][1]}")
    if outcome.drawn:
        print(f"{outcome.drawn} drawn pictures have no file and were left out")
    return 0


def _add_filter_arguments(parser: argparse.ArgumentParser) -> None:
    add_sources(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE.jsonl", help="a line for each picture"
    )
    parser.add_argument("--sheet", type=Path, metavar="FILE.html", help="what is dropped, to look over")
    parser.add_argument(
        "--captions",
        type=Path,
        nargs="*",
        default=[],
        help="files of `caption`: no clothing in them is occluded",
    )
    parser.add_argument("--min-height", type=int, default=64, help="px")
    parser.add_argument("--min-width", type=int, default=24, help="px")
    parser.add_argument(
        "--min-blur", type=float, default=15.0, help="least variance of the Laplacian, in squared grey levels"
    )
    parser.add_argument("--threads", type=int, default=2)


def _run_filter(chosen: argparse.Namespace) -> int:
    from gallery_store.console import progress_bar
    from training.captioning.filters import Limits, filter_pictures
    from training.captioning.side_files import read_captions
    from training.datasets.faults import DataSetError
    from training.datasets.load import load_many, parse_names

    try:
        limits = Limits(chosen.min_height, chosen.min_width, chosen.min_blur)
        datasets = load_many(parse_names(chosen.data), chosen.root)
        captioned = {key: row for file in chosen.captions for key, row in read_captions(file).items()}
        records = [record for dataset in datasets for record in dataset.train]
        found = filter_pictures(
            records,
            chosen.root,
            limits,
            chosen.out,
            captioned=captioned,
            sheet=chosen.sheet,
            threads=chosen.threads,
            progress=progress_bar("filter", "pictures"),
        )
    except (DataSetError, ValueError, OSError) as problem:
        print(problem, file=sys.stderr)
        return 2
    total = sum(found.counts.values())
    for why in ("unreadable", "small", "blurred", "occluded"):
        print(f"{found.counts.get(why, 0):8,} {why}")
    print(f"{found.counts.get('', 0):8,} of {total:,} kept; written to {chosen.out}")
    if found.drawn:
        print(f"{found.drawn} drawn pictures have no file and were not looked at")
    if chosen.sheet is not None:
        print(f"contact sheet in {chosen.sheet}")
    return 0


def _add_vectors_arguments(parser: argparse.ArgumentParser) -> None:
    add_sources(parser)
    parser.add_argument("--clip", required=True, help="a CLIP folder, or an open_clip name: ViT-B-16")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.npz")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1; a GPU where there is one")


def _run_vectors(chosen: argparse.Namespace) -> int:
    from gallery_store.console import progress_bar
    from gallery_store.encoder import ClipEncoder, EncoderError, resolve_device
    from training.datasets.faults import DataSetError
    from training.datasets.load import load_many, parse_names
    from training.instructions.look_alikes import store_vectors

    try:
        datasets = load_many(parse_names(chosen.data), chosen.root)
        records = [record for dataset in datasets for record in dataset.train]
        encoder = ClipEncoder.load(chosen.clip, device=resolve_device(chosen.device))
        fresh, unreadable = store_vectors(
            records, chosen.root, encoder, chosen.out, progress=progress_bar("vectors", "pictures")
        )
    except (DataSetError, EncoderError, OSError) as problem:
        print(problem, file=sys.stderr)
        return 2
    print(f"{fresh} of {len(records)} pictures encoded now, in {chosen.out}")
    if unreadable:
        print(f"{len(unreadable)} unreadable, first {unreadable[0][0]}: {unreadable[0][1]}")
    return 0


def _add_build_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stage", type=int, choices=(1, 2, 3), required=True)
    parser.add_argument("--count", type=int, default=20, help="samples; 0 for all that the stage has")
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    add_sources(parser, default="synthetic")
    add_side_files(parser)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--nobody", type=float, help="share of galleries without a match, instead of the stage's"
    )
    parser.add_argument("--show", type=Path, metavar="FILE.html", help="a page with the pictures, to read")
    parser.add_argument("--jsonl", type=Path, metavar="FILE", help='rows {"task", "messages", "images"}')


def _run_build(chosen: argparse.Namespace) -> int:
    from collections import Counter
    from dataclasses import replace

    from gallery_store.console import progress_bar
    from training.captioning.side_files import prepared
    from training.datasets.faults import DataSetError
    from training.datasets.load import load_many, parse_names
    from training.datasets.training_records import training_records
    from training.instructions.chat_rows import write_rows
    from training.instructions.look_alikes import read_vectors
    from training.instructions.mixtures import MIXTURES
    from training.instructions.show import write_page
    from training.instructions.stage_samples import CannotBeMade, Samples

    if chosen.count < 0 or chosen.first < 0:
        print("--count and --first are 0 or more", file=sys.stderr)
        return 2
    try:
        loaded = load_many(parse_names(chosen.data), chosen.root)
        datasets = prepared(loaded, chosen.root, chosen.captions, chosen.dropped)
        mixture = MIXTURES[chosen.stage]
        if chosen.nobody is not None:
            mixture = replace(mixture, nobody=chosen.nobody)
        stop = chosen.first + (chosen.count or mixture.samples)
        records = training_records(datasets)
        vectors = None
        if chosen.vectors:
            vectors = read_vectors(chosen.vectors, records.records, chosen.root)
        samples = Samples(mixture, records, chosen.seed, stop, vectors)
        indices = range(chosen.first, stop)
        for line in samples.plan.report():
            print(line)
        if chosen.show:
            lead = (
                f"Samples {chosen.first} to {stop - 1} of seed {chosen.seed}, from {len(samples.records)} training "
                f"pictures of {', '.join(samples.stream.columns.names)}."
            )
            write_page(samples, indices, chosen.show, f"Stage {chosen.stage}: instruction samples", lead)
            print(f"{len(indices)} samples to read in {chosen.show}")
        if chosen.jsonl:
            progress = progress_bar("build", "rows")
            print(f"{write_rows(samples, indices, chosen.jsonl, progress)} rows in {chosen.jsonl}")
        if not (chosen.show or chosen.jsonl):
            for task, count in Counter(samples.sample(index).task for index in indices).most_common():
                print(f"{count:8} {task}")
    except (DataSetError, CannotBeMade, ValueError, OSError) as problem:
        print(problem, file=sys.stderr)
        return 2
    return 0


COMMANDS = {
    "datasets": Command(
        "which data sets lie below a folder, and whether they are whole",
        _add_datasets_arguments,
        _run_datasets,
    ),
    "caption": Command(
        "tell what training pictures show, by a Qwen2-VL or an OpenAI-compatible server; a stopped run goes on",
        _add_caption_arguments,
        _run_caption,
    ),
    "filter": Command(
        "which training pictures are too small, too blurred or occluded, with counts and a contact sheet",
        _add_filter_arguments,
        _run_filter,
    ),
    "vectors": Command(
        "CLIP vectors of training pictures, by which look-alikes are found; a stopped run goes on",
        _add_vectors_arguments,
        _run_vectors,
    ),
    "build": Command(
        "make instruction samples of a stage, to read (--show) or for other trainers (--jsonl)",
        _add_build_arguments,
        _run_build,
    ),
}
