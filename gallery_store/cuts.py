"""Folders, zips and files of boxes as a list of people to cut out of whole pictures."""

from __future__ import annotations

import os
import posixpath
import threading
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import TypeVar

from PIL import Image

from gallery_store.archives import is_picture_name, plain_name, zip_problem
from gallery_store.boxes import MOST_FILE_BYTES, Box, boxes_among, read_boxes
from gallery_store.decoding import PICTURE_SUFFIXES, PictureError, open_picture, read_bounded
from gallery_store.folders import Spellings
from gallery_store.items import (
    MOST_REFUSED_ROWS,
    ImportItem,
    ImportSource,
    Rejected,
    SourceError,
    Stop,
    hear,
    in_zip,
    on_disk,
    text_of,
    unpacked,
)
from gallery_store.manifests import unlisted_note

_FOLDERS_OF_LISTS = ("annotation", "annotations", "labels")  # with the pictures beside them
_HELD = 4  # whole pictures in memory: one for each thread of an import
T = TypeVar("T")


def of_file(path: Path, stop: Stop) -> ImportSource:
    """Of a file of boxes by itself, whose pictures lie in folders beside it. Raises SourceError, ReadingStopped."""
    data = text_of(path, "file of boxes", MOST_FILE_BYTES)
    folder = path.absolute().parent
    is_beside = folder.name.casefold() in _FOLDERS_OF_LISTS
    return _on_disk(data, path, folder.parent if is_beside else folder, is_beside, stop)[0]


def of_folder(folder: Path, named: Mapping[str, Path], stop: Stop) -> ImportSource | None:
    """None where there is no file of boxes. named: plain name -> each file. Raises SourceError, ReadingStopped."""
    found = _among(named, folder, lambda name: read_bounded(named[name], max_bytes=MOST_FILE_BYTES))
    if found is None:
        return None
    name, data = found
    source, listed = _on_disk(data, named[name], folder.absolute(), "/" in name, stop)
    files = (os.path.normpath(file.absolute()) for path, file in named.items() if is_picture_name(path))
    return replace(
        source, notes=source.notes + unlisted_note(sum(file not in listed for file in files), name)
    )


def of_zip(
    archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], path: Path, stop: Stop
) -> ImportSource | None:
    """None where there is no file of boxes. members: by their plain names. Raises SourceError, ReadingStopped."""
    among = _among(members, path, lambda name: unpacked(archive, members[name], MOST_FILE_BYTES))
    if among is None:
        return None
    name, data = among
    by_case = {member.casefold(): member for member in members}

    def find(place: str) -> ImportItem | None:
        plain = plain_name(posixpath.normpath(posixpath.join(posixpath.dirname(name), place)))
        member = plain if plain in members else by_case.get(plain.casefold())
        if member is None:
            return None
        if problem := zip_problem(members[member]):
            raise PictureError(problem)
        return in_zip(archive, members[member], member)

    source, listed = _people(
        data, f"{path}/{name}", _Places(posixpath.basename(name), "/" in name), find, stop
    )
    pictures = (in_zip(archive, info, member) for member, info in members.items() if is_picture_name(member))
    unlisted = sum(picture.source not in listed for picture in pictures)
    return replace(source, notes=source.notes + unlisted_note(unlisted, name))


def _among(names: Iterable[str], where: Path, read: Callable[[str], bytes]) -> tuple[str, bytes] | None:
    try:
        return boxes_among(names, read)
    except ValueError as problem:
        raise SourceError(f"in {where}, {problem}") from None


def _on_disk(
    data: bytes, file: Path, root: Path, is_beside: bool, stop: Stop
) -> tuple[ImportSource, frozenset[str]]:
    """As _people. root: the folder that paths are seen from, where a picture lies below it."""
    spellings = Spellings()
    folder, root = file.absolute().parent, Path(os.path.normpath(root))

    def find(place: str) -> ImportItem | None:
        found = Path(os.path.normpath(spellings.find(folder, place)))
        if not os.path.isfile(found):
            return None
        return on_disk(found, found.relative_to(root).as_posix() if found.is_relative_to(root) else place)

    return _people(data, str(file), _Places(file.name, is_beside), find, stop)


def _people(
    data: bytes, where: str, places: _Places, find: Callable[[str], ImportItem | None], stop: Stop
) -> tuple[ImportSource, frozenset[str]]:
    """-> people cut out of the pictures of a file of boxes, and the sources of all the pictures that it lists.

    find(place): the picture there, seen from the file's folder, or None; raises PictureError.
    """
    try:
        file = read_boxes(data, where, lambda: hear(stop))
    except ValueError as problem:
        raise SourceError(str(problem)) from None
    frames = _Frames()
    found: dict[str, ImportItem] = {}
    missing: dict[str, str] = {}
    for picture in file.pictures:
        hear(stop)
        try:
            if (whole := places.first(picture, find)) is not None:
                found[picture] = whole
        except PictureError as problem:
            missing[picture] = problem.reason
    rejected = [Rejected(path, reason) for path, reason in file.rejected]
    items = []
    for box in file.boxes:
        if (whole := found.get(box.picture.name)) is not None:
            items.append(_cut_item(whole, box, frames))
        else:
            reason = missing.get(box.picture.name, "its picture is not there")
            rejected.append(Rejected(f"{box.picture.name}#{box.label}", reason))
    if len(rejected) > MOST_REFUSED_ROWS:
        raise SourceError(
            f"{where} has more than {MOST_REFUSED_ROWS:,} boxes that cannot be used; "
            f"the first: {rejected[0].path}: {rejected[0].reason}"
        )
    listed = frozenset(whole.source for whole in found.values())
    return ImportSource(tuple(items), 0, tuple(rejected), file.notes), listed


def _cut_item(whole: ImportItem, box: Box, frames: _Frames) -> ImportItem:
    given = [("person", box.person), ("camera", box.camera)]
    return replace(
        whole,
        path=f"{whole.path}#{box.label}",
        read=partial(frames.cut, whole.source, whole.read, box),
        origin=None,
        source=f"{whole.source}#{box.label}",
        person=box.person,
        camera=box.camera,
        given=frozenset(name for name, value in given if value),
        whole=whole.read,
    )


class _Frames:
    """Cuts boxes out of pictures; each picture is decoded once while its boxes come one after another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._frames: OrderedDict[str, Future[Image.Image]] = OrderedDict()

    def cut(self, source: str, read: Callable[[], bytes], box: Box) -> bytes:
        """-> a BMP of at most MAX_BYTES. Raises PictureError.

        BMP, for its bytes are the pixels: a newer encoder would write another file, and a later import would not know
        the crop again.
        """
        frame = self._frame(source, read)
        data = BytesIO()
        frame.crop(box.within(*frame.size)).save(data, "BMP")
        return data.getvalue()

    def _frame(self, source: str, read: Callable[[], bytes]) -> Image.Image:
        with self._lock:
            frame = self._frames.pop(source, None)
            is_mine = frame is None
            self._frames[source] = frame = frame or Future()
            while len(self._frames) > _HELD:
                self._frames.popitem(last=False)
        if is_mine:
            try:
                frame.set_result(open_picture(read()))
            except BaseException as problem:  # those who wait for it are told as well
                frame.set_exception(problem)
        return frame.result()


class _Places:
    """Where the pictures of a file of boxes lie, seen from its folder: where the first did, or in usual folders."""

    def __init__(self, file: str, is_beside: bool) -> None:
        """file: its name; of instances_val2017.json the pictures may lie in val2017. is_beside: whether its folder
        may lie beside that of the pictures, and not above.
        """
        split = PurePosixPath(file).stem.rpartition("_")[2]
        beside = ["", "images", "data", split, f"images/{split}"]
        suffixes = ["", *sorted(PICTURE_SUFFIXES)]
        above = [f"../{base}" for base in beside] if is_beside else []
        self._tried = [(base, suffix) for base in beside + above for suffix in suffixes]

    def first(self, name: str, find: Callable[[str], T | None]) -> T | None:
        """What `find` has for the first place that it knows; None where it knows none."""
        has_suffix = is_picture_name(name)  # FiftyOne names pictures without
        for number, (base, suffix) in enumerate(self._tried):
            if has_suffix and suffix:
                continue
            if (found := find(posixpath.join(base, name + suffix))) is not None:
                self._tried.insert(0, self._tried.pop(number))
                return found
        return None
