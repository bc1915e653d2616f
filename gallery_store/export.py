"""A gallery as files that other programs read: pictures beside a CSV manifest, and vectors as Parquet."""

from __future__ import annotations

import csv
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gallery_store import rows
from gallery_store.console import Progress
from gallery_store.crops import Crop, Filters
from gallery_store.decoding import PictureError
from gallery_store.errors import GalleryError
from gallery_store.files import replacing, replacing_folder
from gallery_store.shown import picture_bytes
from gallery_store.store import GalleryStore

if TYPE_CHECKING:
    from gallery_store.schema import Role

MANIFEST, PICTURES = "manifest.csv", "pictures"
COLUMNS = (
    "path",
    "camera",
    "time",
    "person",
    "clothes",
    "tags",
    "id",
    "imported_as",
    "sha256",
    "width",
    "height",
)
AT_ONCE = 5000  # crops


@dataclass(frozen=True)
class Exported:
    """crops: rows written. missing: ids whose picture is gone, or was linked and has changed; they are left out."""

    crops: int
    missing: tuple[int, ...] = ()


def export_pictures(store: GalleryStore, folder: Path, progress: Progress) -> Exported:
    """Writes the gallery's pictures, byte for byte, and a manifest that `import` reads, into a new folder.

    The folder is there whole, or not at all. Times are ISO 8601 in the gallery's zone, with its offset. Crops are
    "pictures/ID.suffix"; `imported_as` is what they were called.

    Raises:
        GalleryError: the folder is there and not empty. OSError: it cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise GalleryError(f"{folder} is there already: name a new folder")
    ids = _every_id(store)
    missing: list[int] = []
    with replacing_folder(folder) as place:
        (place / PICTURES).mkdir()
        with (place / MANIFEST).open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(COLUMNS)
            progress(0, len(ids))
            for start in range(0, len(ids), AT_ONCE):
                some = store.crops(ids[start : start + AT_ONCE].tolist())
                store.absent(some)
                for crop in some:
                    name = f"{PICTURES}/{crop.id}{crop.file.suffix}"
                    try:
                        _copy_picture(crop, place / name)
                    except (FileNotFoundError, PictureError):
                        missing.append(crop.id)
                        continue
                    table.writerow(_row(crop, name, store))
                progress(min(len(ids), start + AT_ONCE), len(ids))
    return Exported(len(ids) - len(missing), tuple(missing))


def _copy_picture(crop: Crop, file: Path) -> None:
    if crop.linked:
        file.write_bytes(picture_bytes(crop))  # not what it has become since
    elif isinstance(crop.file, Path):
        shutil.copyfile(crop.file, file)
    else:
        file.write_bytes(crop.file.read())


def export_vectors(store: GalleryStore, file: Path, progress: Progress) -> Exported:
    """Writes a Parquet table: id, path, sha256, camera, time, person, and the vector of each crop.

    vector: a list of float32, unit length; reid_vector beside it where the gallery has a re-ID encoder's. The encoders'
    names and versions stand in the file's metadata ("encoder", "reid_encoder"). Crops whose vector is damaged or
    missing are left out; `missing` names them. The file is there whole, or not at all.

    Raises:
        GalleryError: pyarrow is not installed. OSError: the file cannot be written.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise GalleryError("Parquet needs pyarrow: `pip install pyarrow`") from None
    with store.database.reading() as connection:
        encoders = {"clip": rows.encoder(connection), "reid": rows.encoder(connection, "reid")}
    if encoders["clip"] is None:
        raise GalleryError(f"{store.location} has no vectors: import crops first")
    if encoders["reid"] is not None:
        store.require_encoder(*encoders["reid"], "reid")
    roles: dict[str, Role] = {"vector": "clip", "reid_vector": "reid"}
    roles = {name: role for name, role in roles.items() if encoders[role] is not None}
    ids = store.matching(Filters())
    columns = [("id", pa.int64()), ("path", pa.string()), ("sha256", pa.string()), ("camera", pa.string())]
    columns += [("time", pa.timestamp("us", tz="UTC")), ("person", pa.string())]
    for name, role in roles.items():
        columns.append((name, pa.list_(pa.float32(), store.index.vectors_of(role).dim)))
    named = {"clip": "encoder", "reid": "reid_encoder"}
    told = {named[role]: "@".join(encoder) for role, encoder in encoders.items() if encoder is not None}
    schema = pa.schema(columns, metadata=told)
    progress(0, len(ids))
    with replacing(file) as place, pq.ParquetWriter(place, schema) as writer:
        for start in range(0, len(ids), AT_ONCE):
            some = ids[start : start + AT_ONCE]
            crops = store.crops(some.tolist())
            table: dict[str, Any] = {
                "id": some,
                "path": [crop.path for crop in crops],
                "sha256": [crop.sha256 for crop in crops],
                "camera": [crop.camera for crop in crops],
                "time": [crop.time for crop in crops],
                "person": [crop.person for crop in crops],
            }
            for name, role in roles.items():
                vectors = store.vectors(some, role)
                table[name] = pa.FixedSizeListArray.from_arrays(vectors.ravel(), vectors.shape[1])
            writer.write_table(pa.table(table, schema=schema))
            progress(start + len(some), len(ids))
    return Exported(len(ids), store.set_aside())


def _every_id(store: GalleryStore) -> np.ndarray:
    """int64, ascending, those without a usable vector among them."""
    return np.union1d(store.matching(Filters()), np.array(store.set_aside(), np.int64))


def _row(crop: Crop, name: str, store: GalleryStore) -> tuple[Any, ...]:
    time = crop.time.astimezone(store.zone).isoformat() if crop.time else ""
    known = (crop.camera or "", time, crop.person or "", crop.clothes or "", ";".join(crop.tags))
    return (name, *known, crop.id, crop.path, crop.sha256, crop.width, crop.height)
