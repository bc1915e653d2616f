"""python -m gallery_store import | stats | verify | reindex | search-index | delete | export | verify-export | copy |
cases | imports | undo-import

Results on stdout, progress and errors on stderr; exit 0 good, 1 verify, export or copy found problems, 2 bad input, 3
nothing was done (no picture could be imported, no crop was chosen), 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from gallery_store.console import any_encoding
from gallery_store.location import location_shown

DEFAULT_GALLERY = "data/gallery.db"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; -> exit status. Raises SystemExit for wrong arguments and after --help."""
    any_encoding()
    options = _parser().parse_args(arguments)
    from gallery_store.cli import run  # here: SQLAlchemy and numpy are not needed for --help

    return run(options)


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    gallery = os.environ.get("CHATREID_GALLERY") or DEFAULT_GALLERY
    common.add_argument(
        "--gallery",
        default=gallery,
        metavar="FILE|URL",
        help=f"the gallery's file, or a URL such as postgresql+psycopg://user@host/name (CHATREID_GALLERY; now "
        f"{location_shown(gallery)})".replace("%", "%%"),
    )
    common.add_argument("--json", action="store_true", help="print one JSON object")
    clip = argparse.ArgumentParser(add_help=False)
    clip.add_argument(
        "--clip",
        metavar="NAME",
        help="CLIP folder or open_clip name (CHATREID_CLIP; the demo CLIP)",
    )
    clip.add_argument(
        "--reid",
        metavar="NAME",
        help="re-ID encoder for queries by picture: ARCHITECTURE=FILE of timm, a timm folder, FILE.pt (TorchScript: a "
        "program, which is run), FILE.onnx, or none (CHATREID_REID)",
    )
    clip.add_argument("--device", default="cpu", help="where the encoders run: cpu, cuda")

    parser = argparse.ArgumentParser(prog="python -m gallery_store", description="Galleries of person crops.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    command = commands.add_parser("import", parents=[common, clip], help="add pictures to a gallery")
    command.add_argument(
        "path",
        metavar="PATH",
        help="a folder, a zip, a CSV manifest, a COCO or FiftyOne file of boxes, or a picture",
    )
    command.add_argument("--camera", metavar="ID", help="camera of pictures whose manifest names none")
    command.add_argument("--link", action="store_true", help="refer to the pictures where they are")
    command.add_argument("--zone", metavar="NAME", help="time zone of a new gallery, such as Europe/Paris")

    command.add_argument(
        "--times", choices=("name", "exif", "none"), default="name",
        help="where times come from that no manifest gives: the names (default), EXIF and then the names, or nowhere",
    )  # fmt: skip
    command.add_argument(
        "--pattern", metavar="REGEX",
        help="how paths are read: groups (?P<person>...), (?P<camera>...), (?P<time>...); the first are shown before "
        "anything is imported",
    )  # fmt: skip
    command.add_argument("--yes", action="store_true", help="do not ask whether the pattern is right")

    storage = os.environ.get("CHATREID_PICTURES") or ""
    _add_pictures(command, "a new gallery keeps its pictures", storage)

    commands.add_parser("stats", parents=[common], help="what a gallery holds")

    command = commands.add_parser("verify", parents=[common], help="compare rows, vectors and pictures")
    command.add_argument("--quick", action="store_true", help="do not read the pictures")

    commands.add_parser("reindex", parents=[common, clip], help="switch to another CLIP or re-ID encoder")

    command = commands.add_parser(
        "search-index",
        parents=[common],
        help="for PostgreSQL: make the index by which the database finds the nearest crops, and measure it",
    )
    command.add_argument(
        "--searches",
        type=int,
        default=20,
        metavar="N",
        help="how many the recall is measured with (default: 20)",
    )

    signing = argparse.ArgumentParser(add_help=False)
    signing.add_argument(
        "--key",
        metavar="FILE",
        default=os.environ.get("CHATREID_EXPORT_KEY_FILE") or None,
        help="the key that exports of cases are signed with, 32 bytes or more (CHATREID_EXPORT_KEY_FILE)",
    )

    command = commands.add_parser(
        "export", parents=[common, signing], help="pictures and a manifest, vectors, or a case"
    )
    wanted = command.add_mutually_exclusive_group(required=True)
    wanted.add_argument(
        "--to", metavar="DIR", help="a new folder: the pictures and a manifest.csv that import reads"
    )
    wanted.add_argument("--vectors", metavar="FILE", help="a Parquet file: one row a crop, with its vectors")
    wanted.add_argument("--case", metavar="ID", help="the report of a case, with its pictures, to --out")
    command.add_argument("--out", metavar="FILE.zip", help="a new file, for --case")

    command = commands.add_parser(
        "verify-export", parents=[signing], help="whether an exported case is whole and unchanged"
    )
    command.add_argument("file", metavar="FILE.zip")
    command.add_argument("--json", action="store_true", help="print one JSON object")

    command = commands.add_parser("copy", help="a whole gallery to another file or database")
    command.add_argument("source", metavar="FROM", help="the gallery's file or URL")
    command.add_argument("target", metavar="TO", help="a new one; a copy that was stopped goes on")
    _add_pictures(command, "the copy keeps its pictures", "")
    command.add_argument("--json", action="store_true", help="print one JSON object")

    command = commands.add_parser("delete", parents=[common], help="remove crops")
    chosen = command.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--id", type=int, action="append", metavar="N", help="a crop (may be repeated)")
    chosen.add_argument("--camera", metavar="ID", help="all crops of a camera")
    chosen.add_argument(
        "--path",
        action="append",
        metavar="PATH",
        help="crops imported under this path: a picture, or a folder and all below it (may be repeated)",
    )
    chosen.add_argument("--all", action="store_true", help="all crops")
    command.add_argument("--yes", action="store_true", help="do not ask")
    command = commands.add_parser("cases", parents=[common], help="list the operators' cases, or erase some")
    which = command.add_mutually_exclusive_group()
    which.add_argument(
        "--erase", action="append", metavar="ID", help="a case, with its photos (may be repeated)"
    )
    which.add_argument(
        "--erase-older", type=days, metavar="DAYS", help="all cases whose last step is so many days ago"
    )
    command.add_argument("--yes", action="store_true", help="do not ask")
    commands.add_parser("imports", parents=[common], help="list the imports, the last one first")
    command = commands.add_parser(
        "undo-import", parents=[common], help="remove all crops that an import added"
    )
    command.add_argument("number", type=int, metavar="N", help="its number, as `imports` lists it")
    command.add_argument("--yes", action="store_true", help="do not ask")
    return parser


def _add_pictures(command: argparse.ArgumentParser, who: str, default: str) -> None:
    """default: of the environment, as it counts for new galleries, and for a copy does not."""
    variable = (
        f" (CHATREID_PICTURES{f'; now {default}' if default else ''})" if who.startswith("a new") else ""
    )
    command.add_argument(
        "--pictures",
        default=default,
        metavar="URL",
        help=f"object storage in which {who}, such as s3://bucket/folder{variable}".replace("%", "%%"),
    )


def days(text: str) -> float:
    """0 or more; argparse says what is wrong otherwise."""
    number = float(text)
    if not 0 <= number <= 1e6:
        raise ValueError
    return number


if __name__ == "__main__":
    sys.exit(main())
