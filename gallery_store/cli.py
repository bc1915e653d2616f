"""The command line. Results on stdout, progress and errors on stderr; exit 0 good, 1 verify found problems,
2 bad input, 130 stopped by Ctrl-C."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from gallery_store.crops import camera_key
from gallery_store.database import file_of
from gallery_store.decoding import PictureError
from gallery_store.encoder import ClipEncoder, EncoderError
from gallery_store.errors import GalleryError
from gallery_store.importer import import_crops
from gallery_store.reindex import reindex
from gallery_store.sources import SourceError, read_source
from gallery_store.stats import gallery_stats
from gallery_store.store import GalleryStore
from gallery_store.tables import crops
from gallery_store.verify import verify

DEFAULT_GALLERY = "data/gallery.db"
DEFAULT_CLIP = Path(__file__).resolve().parent.parent / "assets" / "demo_clip"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; -> exit status."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except (GalleryError, SourceError, EncoderError, PictureError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    gallery = os.environ.get("CHATREID_GALLERY") or DEFAULT_GALLERY
    common.add_argument(
        "--gallery", default=gallery, metavar="FILE", help=f"the gallery (CHATREID_GALLERY; now {gallery})"
    )
    common.add_argument("--json", action="store_true", help="print one JSON object")
    clip = argparse.ArgumentParser(add_help=False)
    clip.add_argument(
        "--clip",
        default=os.environ.get("CHATREID_CLIP") or str(DEFAULT_CLIP),
        metavar="NAME",
        help="CLIP folder or open_clip name (CHATREID_CLIP; the demo CLIP)",
    )
    clip.add_argument("--device", default="cpu", help="where the CLIP runs: cpu, cuda")

    parser = argparse.ArgumentParser(prog="python -m gallery_store", description="Galleries of person crops.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("import", parents=[common, clip], help="add pictures to a gallery")
    command.add_argument("path", metavar="PATH", help="a folder, a zip, a CSV manifest or a picture")
    command.add_argument("--camera", metavar="ID", help="camera of pictures whose manifest names none")
    command.add_argument("--link", action="store_true", help="refer to the pictures where they are")
    command.add_argument("--zone", metavar="NAME", help="time zone of a new gallery, such as Europe/Paris")
    command.set_defaults(run=_import)

    command = commands.add_parser("stats", parents=[common], help="what a gallery holds")
    command.set_defaults(run=_stats)

    command = commands.add_parser("verify", parents=[common], help="compare rows, vectors and pictures")
    command.add_argument("--quick", action="store_true", help="do not read the pictures")
    command.set_defaults(run=_verify)

    command = commands.add_parser("reindex", parents=[common, clip], help="switch to another CLIP")
    command.set_defaults(run=_reindex)

    command = commands.add_parser("delete", parents=[common], help="remove crops")
    chosen = command.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--id", type=int, action="append", metavar="N", help="a crop (may be repeated)")
    chosen.add_argument("--camera", metavar="ID", help="all crops of a camera")
    chosen.add_argument("--path", action="append", metavar="PATH", help="crops imported under this path")
    chosen.add_argument("--all", action="store_true", help="all crops")
    command.add_argument("--yes", action="store_true", help="do not ask")
    command.set_defaults(run=_delete)
    return parser


def _import(options: argparse.Namespace) -> int:
    source = Path(options.path)
    read_source(source, ZoneInfo("UTC")).close()  # a bad PATH must not leave an empty gallery behind
    encoder = ClipEncoder.load(options.clip, options.device)
    with GalleryStore.open(options.gallery, zone=options.zone) as store, _Interrupt() as stop:
        report = import_crops(
            store,
            encoder,
            source,
            camera=options.camera,
            link=options.link,
            progress=_progress("imported"),
            stop=stop,
        )
    result = asdict(report)
    del result["stopped"]
    text = [f"{report.added} added, {report.unchanged} unchanged, {report.ignored} other files ignored"]
    text += [f"rejected {refused.path}: {refused.reason}" for refused in report.rejected]
    if report.stopped:
        print("stopped: run the same command again to go on", file=sys.stderr)
    _print(options, result, text)
    return 130 if report.stopped else 0


def _stats(options: argparse.Namespace) -> int:
    with _existing(options) as store:
        result = gallery_stats(store)
    _print(options, result, [f"{key}: {value}" for key, value in result.items()])
    return 0


def _verify(options: argparse.Namespace) -> int:
    with _existing(options) as store:
        found = verify(store, quick=options.quick, progress=_progress("checked"))
    result = {"ok": found.ok, **asdict(found)}
    text = [
        f"{found.crops} crops checked, {len(found.problems)} problems, {found.collected} leftovers removed"
    ]
    _print(options, result, [*text, *found.problems])
    return 0 if found.ok else 1


def _reindex(options: argparse.Namespace) -> int:
    with _existing(options) as store:
        encoder = ClipEncoder.load(options.clip, options.device)
        with _Interrupt() as stop:
            done = reindex(store, encoder, progress=_progress("encoded"), stop=stop)
        indexed = store.encoder()
    result = {"encoded": done.encoded, "switched": done.switched, "encoder": indexed and list(indexed)}
    if stop():
        print("stopped: run the same command again to go on", file=sys.stderr)
    named = " ".join(indexed) if indexed else "no encoder (it is empty)"
    _print(options, result, [f"{done.encoded} crops encoded; the gallery is indexed by {named}"])
    return 130 if stop() else 0


def _delete(options: argparse.Namespace) -> int:
    with _existing(options) as store:
        with store.database.reading() as connection:
            ids = list(connection.execute(sa.select(crops.c.id).where(_chosen(options))).scalars())
        if ids and not options.yes and not _agreed(len(ids), store.location):
            raise GalleryError("nothing was deleted: confirm with --yes")
        removed = store.delete(ids)
    _print(options, {"deleted": removed}, [f"{removed} crops deleted"])
    return 0


def _chosen(options: argparse.Namespace) -> sa.ColumnElement[bool]:
    if options.id:
        return crops.c.id.in_(options.id)
    if options.path:
        return crops.c.path.in_(options.path)
    return sa.true() if options.all else crops.c.camera_key == camera_key(options.camera)


def _agreed(count: int, where: str) -> bool:
    if not sys.stdin.isatty():
        return False
    print(f"Delete {count} crops from {where}? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _existing(options: argparse.Namespace) -> GalleryStore:
    file = file_of(options.gallery)
    if not file.is_file():
        raise GalleryError(
            f"there is no gallery {file}: make it with `python -m gallery_store import PATH --gallery {file}`"
        )
    return GalleryStore.open(file)


def _print(options: argparse.Namespace, result: dict, text: list[str]) -> None:
    print(json.dumps(result) if options.json else "\n".join(text))


def _progress(verb: str) -> Callable[[int, int], None]:
    live = sys.stderr.isatty()

    def show(done: int, total: int) -> None:
        if live:
            print(
                f"\r{verb} {done} of {total}", end="\n" if done >= total else "", file=sys.stderr, flush=True
            )
        else:
            print(f"{verb} {done} of {total}", file=sys.stderr, flush=True)

    return show


class _Interrupt:
    """The first Ctrl-C asks to stop after the batch at hand; the second one kills as usual."""

    def __enter__(self) -> _Interrupt:
        self._asked = False
        self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def _ask(self, *_: object) -> None:
        self._asked = True
        signal.signal(signal.SIGINT, self._before)

    def __call__(self) -> bool:
        return self._asked

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)
