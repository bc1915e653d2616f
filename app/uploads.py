"""Files that operators bring: checked before anything is done with them, and shown only as small copies."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import threading
import time
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from app.refused import Refused
from gallery_store.decoding import PICTURE_SUFFIXES, PictureError, open_picture, read_bounded, size_of
from gallery_store.files import write_file
from gallery_store.photographs import DRAWN_MARK, MARKED_WITHIN, is_marked_drawn

MOST_FILES = 2000  # in the folder, previews among them; they are removed a day after they came
MOST_TOTAL = 64  # files of the greatest size, in bytes together
_SETTLED = 3600  # seconds
PREVIEW_SIDE = 720  # pixels, of the longer side
CROPPER_SIDE = 1440  # the same, of what a part is cut out of
_SCENE_ASPECT = 0.7  # width to height; a crop of one person who stands or walks is narrower
_SCENE_SHORTER = 200  # pixels, of the shorter side; what is smaller has no room for two
_SCENE_LONGER = 1600  # pixels, of the longer side: whatever its shape, hardly one person fills it


class Uploads:
    """The folder of uploaded files, and the bounds they must keep."""

    def __init__(self, folder: Path, *, max_bytes: int, max_pixels: int) -> None:
        self.folder = folder.resolve()
        self.max_bytes = max_bytes
        self.max_pixels = max_pixels
        self.folder.mkdir(parents=True, exist_ok=True)
        self.of_cases = self.folder.with_name("case-photos")  # copies of what the gallery keeps
        self._writing = threading.Lock()  # two handlers may want the same preview at once

    def files_of(self, message: Any) -> tuple[str, list[Path]]:
        """Text and files of a chat message as the page or a client sends it. Refused when malformed.

        A file counts only if it lies in the upload folder: a path alone gives no right to read it.
        """
        if isinstance(message, str):
            return message, []
        if not isinstance(message, dict):
            raise Refused('A message is {"text": ..., "files": [...]}.')
        text, files = message.get("text") or "", message.get("files") or []
        if not isinstance(text, str) or not isinstance(files, list | tuple):
            raise Refused('A message is {"text": ..., "files": [...]}.')
        return text, [self._uploaded(item) for item in files]

    def _uploaded(self, item: Any) -> Path:
        given = item.get("path") if isinstance(item, dict) else item
        if not isinstance(given, str | os.PathLike) or "\0" in str(given):
            raise Refused("A file of the message is no uploaded file.")
        path = Path(given).resolve()
        if not path.is_relative_to(self.folder) or not path.is_file():
            raise Refused(f"“{Path(given).name}” was not uploaded here, or is gone; please upload it again.")
        return path

    def forget(self, kept: set[str]) -> int:
        """Remove the copies of photos that no case keeps any more; -> how many. kept: names of those that one does.

        One that came within the hour stays: its step may not be written yet.
        """
        before = time.time() - _SETTLED
        gone = [
            file
            for file in self.of_cases.rglob("*")
            if file.is_file()
            and file.relative_to(self.of_cases).as_posix() not in kept
            and file.stat().st_mtime < before
        ]
        for file in gone:
            file.unlink(missing_ok=True)
        return len(gone)

    def keep(self, path: Path) -> Path:
        """A copy for a case: uploads are removed a day after they came. Its name is that of its content."""
        try:
            data = path.read_bytes()
        except OSError:
            return path  # is refused as it is opened
        return self.put(Path(hashlib.sha256(data).hexdigest()[:24], path.name), data)

    def put(self, name: Path, data: bytes) -> Path:
        """The photo of a case under its name, written unless it is there."""
        kept = self.of_cases / name
        with self._writing:
            if not kept.exists():
                kept.parent.mkdir(parents=True, exist_ok=True)
                write_file(kept, data)
        return kept

    def refuse_more(self) -> str:
        """Why no further file is taken now, one sentence; "" while there is room."""
        sizes = []
        for entry in self.folder.rglob("*"):
            try:
                status = entry.stat()
            except OSError:  # removed since it was listed
                continue
            if stat.S_ISREG(status.st_mode):
                sizes.append(status.st_size)
        if len(sizes) < MOST_FILES and sum(sizes) < MOST_TOTAL * self.max_bytes:
            return ""
        return "The folder of uploads is full; files are removed a day after they came, so please try later."

    def open(self, path: Path, within: tuple[int, int] | None = None) -> Image.Image:
        """The picture, or a copy that fits in (width, height); Refused with one sentence that names the file."""
        if path.suffix.lower() not in PICTURE_SUFFIXES:
            kinds = ", ".join(sorted(suffix[1:] for suffix in PICTURE_SUFFIXES))
            raise Refused(f"“{path.name}” is no picture that can be searched with; use {kinds}.")
        try:
            return open_picture(path, max_bytes=self.max_bytes, max_pixels=self.max_pixels, within=within)
        except PictureError as problem:
            raise Refused(f"“{path.name}” cannot be used: {problem.reason}.") from None

    def size_of(self, path: Path) -> tuple[int, int]:
        """(width, height) of the picture upright, by its header. Refused when it is no picture."""
        try:
            return size_of(read_bounded(path, max_bytes=self.max_bytes))
        except PictureError as problem:
            raise Refused(f"“{path.name}” cannot be used: {problem.reason}.") from None

    def shows_scene(self, path: Path) -> bool:
        """Whether a photo may show more than one person: it is wide, or large. False of what is no picture."""
        if self.preview_if_any(path) is None:
            return False
        width, height = self.size_of(path)
        is_wide = width > _SCENE_ASPECT * height and min(width, height) >= _SCENE_SHORTER
        return is_wide or max(width, height) >= _SCENE_LONGER

    def preview(self, path: Path, side: int = PREVIEW_SIDE) -> Path:
        """A small upright JPEG of the picture, without its metadata. Refused when it is no picture.

        side: pixels, the most of its longer side.
        """
        name = hashlib.sha256(f"{path}|{side}".encode()).hexdigest()[:24]
        preview = self.folder / "previews" / f"{name}.jpg"
        with self._writing:
            if not preview.exists():
                _write_jpeg(self.open(path, (side, side)), preview)
        return preview

    def preview_if_any(self, path: Path) -> Path | None:
        """The preview, or None when the file is no picture (any more)."""
        try:
            return self.preview(path)
        except Refused:
            return None

    def data_uri(self, path: Path, side: int = PREVIEW_SIDE) -> str:
        """The preview as a data URI: a picture that others cannot ask for."""
        return "data:image/jpeg;base64," + base64.b64encode(self.preview(path, side).read_bytes()).decode()

    def crop(self, path: Path, box: tuple[float, float, float, float]) -> Path:
        """The part of the picture inside box (left, top, right, bottom; each 0..1) as a file of its own."""
        left, top, right, bottom = (min(1.0, max(0.0, float(side))) for side in box)
        picture = self.open(path)
        width, height = picture.size
        corners = (round(left * width), round(top * height), round(right * width), round(bottom * height))
        if corners[2] - corners[0] < 8 or corners[3] - corners[1] < 8:
            raise Refused("The chosen part is smaller than 8 pixels; choose a larger one.")
        name = hashlib.sha256(f"{path}|{corners}".encode()).hexdigest()[:24]
        part = self.folder / "parts" / name / f"{path.stem}.jpg"
        with self._writing:
            with path.open("rb") as file:  # a part of a drawing is one
                drawn = is_marked_drawn(file.read(MARKED_WITHIN))
            _write_jpeg(picture.crop(corners), part, DRAWN_MARK if drawn else b"")
        return part


def _write_jpeg(picture: Image.Image, target: Path, comment: bytes = b"") -> None:
    """In one step: a reader sees the whole file or none."""
    data = BytesIO()
    picture.save(data, "JPEG", quality=95, comment=comment)
    write_file(target, data.getvalue())
