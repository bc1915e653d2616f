"""The commands of `python -m gallery_store`: what each does with its options, prints, and exits with."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from gallery_store import rows
from gallery_store.cases import CaseRecord
from gallery_store.console import progress_bar, remark, step_progress
from gallery_store.copying import copy_gallery
from gallery_store.crops import camera_key
from gallery_store.database import time_of
from gallery_store.decoding import PictureError
from gallery_store.encoder import ClipEncoder, EncoderError
from gallery_store.errors import GalleryError
from gallery_store.export import export_pictures, export_vectors
from gallery_store.export_case import export_case
from gallery_store.importer import import_crops
from gallery_store.imports import import_numbered, imports_of, undo_import, what_undoing_takes
from gallery_store.items import IN_ZIP, ImportItem, SourceError
from gallery_store.location import location_shown
from gallery_store.reid_encoder import ReidEncoder
from gallery_store.reindex import Reindexed, drop_reid, reindex
from gallery_store.schema import crops, searches, tags
from gallery_store.sealed_zip import check_zip, read_key
from gallery_store.search_index import make_search_index, make_where_wanted, measure_recall
from gallery_store.sources import read_source
from gallery_store.store import GalleryStore
from gallery_store.verify import verify

DEFAULT_CLIP = Path(__file__).resolve().parent.parent / "assets" / "demo_clip"
NO_REID = "none"
_NOTHING_DONE = 3
_PREVIEWED = 5
_STOPPED = "stopped: run the same command again to go on"


def run(options: argparse.Namespace) -> int:
    """Do what `options.command` asks; -> exit status."""
    try:
        return _COMMANDS[options.command](options)
    except (GalleryError, SourceError, EncoderError, PictureError) as problem:
        remark(f"error: {problem}")
        return 2
    except OSError as problem:
        if options.command != "export":
            raise
        remark(f"error: {problem.filename or 'the export'} cannot be written ({problem.strerror})")
        return 2


def _import(options: argparse.Namespace) -> int:
    source = Path(options.path)
    # A bad PATH must not leave an empty gallery behind.
    contents = read_source(source, ZoneInfo("UTC"), pattern=options.pattern)
    contents.close()
    if options.pattern is not None:
        _preview(contents.items)
        if not options.yes and not _agreed(f"Import {len(contents.items):,} pictures with these?"):
            raise GalleryError("nothing was imported: confirm with --yes")
    encoder, reid = _clip(options), _reid(options)
    opened = GalleryStore.open(options.gallery, zone=options.zone, pictures=options.pictures)
    with opened as store, _Interrupt() as stop:
        report = import_crops(
            store,
            encoder,
            source,
            reid=reid,
            camera=options.camera,
            link=options.link,
            times=options.times,
            pattern=options.pattern,
            progress=progress_bar("import", "pictures"),
            stop=stop,
        )
        if report.added and not report.stopped:
            make_where_wanted(store, progress_bar("search index", "vectors"))
    result = asdict(report)
    del result["stopped"]
    text = [f"{report.in_words()}, {report.ignored} other files ignored"]
    text += report.notes
    text += [f"rejected {refused.path}: {refused.reason}" for refused in report.rejected]
    if report.are_photographs:
        text.append(
            f"{report.photographs} of the new crops look like photographs; the models that come with ChatReID know "
            "drawn people only"
        )
    if report.stopped:
        remark(_STOPPED)
    _print(options, result, text)
    if report.stopped:
        return 130
    if not report.taken:
        remark(f"no picture of {source} could be imported")
        return _NOTHING_DONE
    return 0


def _preview(items: Sequence[ImportItem]) -> None:
    """The first names, and what the pattern finds in them, before anything is done."""
    for item in items[:_PREVIEWED]:
        time = f"{item.time:%Y-%m-%d %H:%M:%S}" if item.time else "none"
        remark(f"{item.path}: person {item.person or 'none'}, camera {item.camera or 'none'}, time {time}")


def _clip(options: argparse.Namespace) -> ClipEncoder:
    return ClipEncoder.load(options.clip or os.environ.get("CHATREID_CLIP") or DEFAULT_CLIP, options.device)


def _reid(options: argparse.Namespace) -> ReidEncoder | None:
    """The re-ID encoder that is named; "none" overrules the environment."""
    spec = (options.reid if options.reid is not None else os.environ.get("CHATREID_REID")) or NO_REID
    return None if spec == NO_REID else ReidEncoder.load(spec, options.device)


def _stats(options: argparse.Namespace) -> int:
    with _existing(options) as store:
        result = _gallery_stats(store)
    _print(options, result, [f"{key}: {value}" for key, value in result.items()])
    return 0


def _gallery_stats(store: GalleryStore) -> dict[str, Any]:
    """JSON-ready: gallery (its file), pictures (where they are), crops, persons, cameras and tags (name -> crops),
    first and last time (ISO 8601 in the gallery's zone), linked, searches, zone, encoder and reid ([name, version] or
    None).
    """
    count = sa.func.count()
    with store.database.reading() as connection:

        def number(column: Any, *where: Any) -> int:
            return connection.execute(sa.select(column).where(*where)).scalar_one()

        by_camera = sa.select(sa.func.min(crops.c.camera), count).where(crops.c.camera_key != "")
        cameras = connection.execute(
            by_camera.group_by(crops.c.camera_key).order_by(crops.c.camera_key)
        ).all()
        by_tag = connection.execute(
            sa.select(tags.c.tag, count).group_by(tags.c.tag).order_by(tags.c.tag)
        ).all()
        dated = sa.select(sa.func.min(crops.c.time), sa.func.max(crops.c.time)).where(crops.c.time != "")
        first, last = connection.execute(dated).one()
        encoder, reid = rows.encoder(connection), rows.encoder(connection, "reid")
        return {
            "gallery": store.location,
            "pictures": store.storage or str(store.media),
            "crops": number(count, crops.c.id.is_not(None)),
            "persons": number(sa.func.count(sa.distinct(crops.c.person))),
            "cameras": {row[0]: row[1] for row in cameras},
            "tags": {row[0]: row[1] for row in by_tag},
            "first": _local(store, first),
            "last": _local(store, last),
            "linked": number(count, crops.c.linked),
            "searches": number(count, searches.c.id.is_not(None)),
            "zone": store.zone.key,
            "encoder": list(encoder) if encoder else None,
            "reid": list(reid) if reid else None,
        }


def _local(store: GalleryStore, text: str | None) -> str | None:
    moment = time_of(text or "")
    return moment.astimezone(store.zone).isoformat() if moment else None


def _verify(options: argparse.Namespace) -> int:
    with _existing(options) as store:
        verified = verify(store, quick=options.quick, progress=progress_bar("verify", "crops"))
    result = {"ok": verified.ok, **asdict(verified)}
    counts = f"{verified.crops} crops checked, {len(verified.problems)} problems"
    _print(options, result, [f"{counts}, {verified.collected} leftovers removed", *verified.problems])
    return 0 if verified.ok else 1


def _reindex(options: argparse.Namespace) -> int:
    with _existing(options) as store:
        reid = _reid(options)
        with _Interrupt() as stop:
            done = Reindexed(0, False)
            # --reid alone does not switch the CLIP to the default one.
            if options.clip is not None or options.reid is None:
                show = progress_bar("reindex", "crops")
                done = reindex(store, _clip(options), progress=show, stop=stop)
            if reid is not None and not stop():
                show = progress_bar("reindex re-ID", "crops")
                by_reid = reindex(store, reid, role="reid", progress=show, stop=stop)
                done = Reindexed(done.encoded + by_reid.encoded, done.switched or by_reid.switched)
            if options.reid == NO_REID and store.encoder("reid") is not None:
                drop_reid(store)
                done = Reindexed(done.encoded, True)
            if not stop():
                make_where_wanted(store, progress_bar("search index", "vectors"))
        clip, by_reid_now = store.encoder(), store.encoder("reid")
    result = {"encoded": done.encoded, "switched": done.switched, "encoder": clip and list(clip)}
    result["reid"] = by_reid_now and list(by_reid_now)
    if stop():
        remark(_STOPPED)
    named = " ".join(clip) if clip else "no encoder (it is empty)"
    named += f", and for queries by picture by {' '.join(by_reid_now)}" if by_reid_now else ""
    _print(options, result, [f"{done.encoded} crops encoded; the gallery is indexed by {named}"])
    return 130 if stop() else 0


def _search_index(options: argparse.Namespace) -> int:
    with GalleryStore.open(options.gallery, must_exist=True, index="database") as store:
        if not store.count():
            raise GalleryError(f"the gallery {store.location} is empty: import pictures first")
        made = make_search_index(store, progress_bar("search index", "vectors"))
        found = measure_recall(store, max(1, options.searches))
    text = (
        f"{'made' if made else 'it was there'}; recall {found.recall:.4f} of {found.searches} searches among "
        f"{found.crops:,} crops: {1000 * found.by_index:.0f} ms, exact {1000 * found.exact:.0f} ms"
    )
    _print(options, {"made": made, **asdict(found)}, [text])
    return 0


def _delete(options: argparse.Namespace) -> int:
    with _existing(options) as store:
        store.database.require_writable()
        with store.database.reading() as connection:
            ids = _chosen(connection, options)
        if ids and not options.yes and not _agreed(f"Delete {len(ids)} crops from {store.location}?"):
            raise GalleryError("nothing was deleted: confirm with --yes")
        removed = store.delete(ids)
    _print(options, {"deleted": removed}, [f"{removed} crops deleted"])
    if not ids:
        remark(
            f"nothing was deleted: there is no crop {_in_words(options)} in {location_shown(options.gallery)}"
        )
        return _NOTHING_DONE
    return 0


def _chosen(connection: sa.Connection, options: argparse.Namespace) -> list[int]:
    """Ids of the crops that are named, ascending. Raises GalleryError for an empty path."""
    if options.path:
        if not all(path.strip() for path in options.path):
            raise GalleryError("the path is empty: name a picture or a folder, or --all")
        named = [_plain(path) for path in options.path]
        named = [path for path in named if path.parts]  # "." is where one stands, not every path there is
        here = [_plain(os.path.abspath(path)) for path in options.path]
        rows_of_all = connection.execute(
            sa.select(crops.c.id, crops.c.path, crops.c.source).order_by(crops.c.id)
        )
        return [
            row.id
            for row in rows_of_all
            if any(_plain(row.path).is_relative_to(path) for path in named)
            or (row.source and any(_plain(row.source).is_relative_to(path) for path in (*named, *here)))
        ]
    where = sa.true() if options.all else crops.c.camera_key == camera_key(options.camera or "")
    if options.id:
        where = crops.c.id.in_(options.id)
    return list(connection.execute(sa.select(crops.c.id).where(where).order_by(crops.c.id)).scalars())


def _plain(path: str) -> PurePosixPath:
    """A path as it compares with others: "./a/b.png" and "a/b.png" are one, and a zip is a folder."""
    return PurePosixPath(os.path.normpath(path.replace(IN_ZIP, "/").replace("\\", "/")))


def _in_words(options: argparse.Namespace) -> str:
    if options.id:
        return f"with the id {' or '.join(map(str, options.id))}"
    if options.path:
        return f"imported under {' or '.join(options.path)}"
    return "at all" if options.all else f"of camera {options.camera}"


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        return False
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _existing(options: argparse.Namespace) -> GalleryStore:
    """The gallery named, unlike that of an import never a new one. Raises GalleryError."""
    return GalleryStore.open(options.gallery, must_exist=True)


def _print(options: argparse.Namespace, result: dict, text: list[str]) -> None:
    print(json.dumps(result) if options.json else "\n".join(text))


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


def _export(options: argparse.Namespace) -> int:
    if (options.case is None) != (options.out is None):
        raise GalleryError(
            "an export of a case needs --case ID and --out FILE.zip, and nothing else needs --out"
        )
    key = read_key(options.key) if options.case is not None and options.key is not None else None
    with _existing(options) as store:
        if options.case is not None:
            case = export_case(store, options.case, Path(options.out), key)
            _print(options, asdict(case), [case.in_words(options.out), *case.missing])
            return 1 if case.missing else 0
        if options.vectors is not None:
            done = export_vectors(store, Path(options.vectors), progress_bar("export", "vectors"))
            what, where, lost = "vectors", options.vectors, "a damaged vector"
        else:
            done = export_pictures(store, Path(options.to), progress_bar("export", "pictures"))
            what, where, lost = "pictures", options.to, "a picture that is gone or was changed"
    text = [f"{done.crops:,} {what} exported to {where}"]
    if done.missing:
        text.append(f"{len(done.missing):,} crops have {lost} and were left out: {_listed(done.missing)}")
    _print(options, {"exported": done.crops, "left_out": list(done.missing)}, text)
    return 1 if done.missing else 0


def _verify_export(options: argparse.Namespace) -> int:
    checked = check_zip(Path(options.file), read_key(options.key) if options.key is not None else None)
    text = [f"{checked.files} files checked, {len(checked.problems)} problems; {checked.signature}"]
    _print(options, {"ok": checked.ok, **asdict(checked)}, [*text, *checked.problems])
    return 0 if checked.ok else 1


def _copy(options: argparse.Namespace) -> int:
    with (
        GalleryStore.open(options.source, must_exist=True) as source,
        GalleryStore.open(options.target, as_copy=True, pictures=options.pictures) as target,
        _Interrupt() as stop,
    ):
        done = copy_gallery(source, target, step_progress(), stop)
        names = source.location, target.location
    text = [f"{done.crops:,} crops and {done.searches:,} searches of {names[0]} are in {names[1]}"]
    text.append(f"{done.written:,} crops written, {done.mended:,} written again after they were compared")
    text += done.problems
    _print(options, asdict(done), text)
    if done.stopped:
        remark(_STOPPED)
        return 130
    return 1 if done.problems else 0


def _cases(options: argparse.Namespace) -> int:
    with _existing(options) as store:
        known = store.cases.listed(None, most=None)
        if options.erase is None and options.erase_older is None:
            text = [
                f"{case.id}  {case.changed:%Y-%m-%d %H:%M}  {_whose(case)}  {case.turns} steps  {case.title}"
                for case in known
            ]
            _print(
                options, {"cases": [{**asdict(case), "changed": str(case.changed)} for case in known]}, text
            )
            return 0
        store.database.require_writable()
        since = datetime.now(UTC) - timedelta(days=options.erase_older or 0)
        chosen = [
            case.id
            for case in known
            if (case.id in options.erase if options.erase is not None else case.changed < since)
        ]
        if chosen and not options.yes and not _agreed(f"Erase {len(chosen)} cases from {store.location}?"):
            raise GalleryError("nothing was erased: confirm with --yes")
        erased = sum(store.cases.erase(case) for case in chosen)
    _print(options, {"erased": erased}, [f"{erased} cases erased, with their photos"])
    if missing := sorted(set(options.erase or ()) - set(chosen)):
        remark(f"there is no case {', '.join(missing)} in {location_shown(options.gallery)}")
    return 0 if erased else _NOTHING_DONE


def _whose(case: CaseRecord) -> str:
    """ "ann (shared with bob, cat)"."""
    return f"{case.user} (shared with {', '.join(case.shared)})" if case.shared else case.user


def _listed(ids: Sequence[int]) -> str:
    more = f" and {len(ids) - 20:,} more" if len(ids) > 20 else ""
    return ", ".join(map(str, ids[:20])) + more


def _imports(options: argparse.Namespace) -> int:
    with _existing(options) as store:
        listed = imports_of(store)
        zone = store.zone
    text = [
        f"{batch.id}  {batch.began.astimezone(zone):%Y-%m-%d %H:%M}  {batch.user or 'by command'}  {batch.in_words()}"
        f"{'  undone' if batch.undone else f'  {batch.here:,} crops here'}  {batch.source}"
        for batch in listed
    ]
    result = [
        {**asdict(batch), "began": str(batch.began), "undone": str(batch.undone) if batch.undone else None}
        for batch in listed
    ]
    _print(options, {"imports": result}, text or ["no import is listed"])
    return 0


def _undo_import(options: argparse.Namespace) -> int:
    with _existing(options) as store:
        store.database.require_writable()
        batch = import_numbered(store, options.number)
        takes = what_undoing_takes(store, batch)
        for sentence in takes.in_words() if takes.crops else ():
            remark(sentence)
        asked = (
            f"Remove the {takes.crops:,} crops of import {batch.id} ({batch.source}) from {store.location}?"
        )
        if takes.crops and not options.yes and not _agreed(asked):
            raise GalleryError("nothing was undone: confirm with --yes")
        done = undo_import(store, batch.id, "by command") if takes.crops else takes
    _print(
        options,
        {"removed": done.crops, "changed": done.changed, "met": dict(done.met)},
        [f"{done.crops:,} crops of import {batch.id} removed"],
    )
    if not done.crops:
        remark(f"import {batch.id} has no crops in {location_shown(options.gallery)}: nothing was undone")
        return _NOTHING_DONE
    return 0


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "import": _import,
    "stats": _stats,
    "verify": _verify,
    "reindex": _reindex,
    "search-index": _search_index,
    "delete": _delete,
    "export": _export,
    "verify-export": _verify_export,
    "copy": _copy,
    "cases": _cases,
    "imports": _imports,
    "undo-import": _undo_import,
}
