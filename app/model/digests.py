"""SHA-256 of a checkpoint's weight files: written into its manifest, checked before they are read.

All bytes are read, whatever the size: a checkpoint of several GB takes seconds against the minute that its weights
take to load, and half a file that was copied wrongly answers like a whole one.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

from app.model.checkpoint import CheckpointManifest, ModelError, WeightFile
from gallery_store.console import remark

START = "start"  # a folder beside an adapter: full weights that only exist as its base
_LARGE = 1 << 30  # bytes, from which on it is said what takes time
_AT_ONCE = 4
_MEND = (
    "copy the checkpoint again, or run `python -m training digest DIR` where you changed its weights yourself"
)


def weight_files(folder: Path) -> dict[str, WeightFile]:
    """Every safetensors file of a checkpoint's folder, by its path from there."""
    files = sorted((*folder.glob("*.safetensors"), *(folder / START).glob("*.safetensors")))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        hashes = list(pool.map(_sha256, files))
    return {
        file.relative_to(folder).as_posix(): WeightFile(file.stat().st_size, sha256)
        for file, sha256 in zip(files, hashes, strict=True)
    }


def check_weight_files(folder: Path) -> None:
    """Hold the files against the manifest. A folder without a manifest, or one that names no files, passes.

    Raises:
        ModelError: a file is missing, another one, or not named.
    """
    manifest = CheckpointManifest.read(folder)
    if manifest is None or not manifest.weights:
        return
    there = {file.name for file in folder.glob("*.safetensors")}
    if more := sorted(there - set(manifest.weights)):
        raise ModelError(f"{folder / more[0]} is not among the weights that chatreid.json names; {_MEND}")
    for name, file in manifest.weights.items():
        path = folder / name
        if not path.is_file():
            raise ModelError(f"{path} is missing; copy the checkpoint again")
        if (size := path.stat().st_size) != file.bytes:
            raise ModelError(
                f"{path} has {size:,} bytes, and chatreid.json says {file.bytes:,}: it was cut short or replaced; "
                + _MEND
            )
    total = sum(file.bytes for file in manifest.weights.values())
    if total >= _LARGE:
        remark(f"Checking the weights of {folder} ({total / 1e9:.1f} GB)")
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        hashes = pool.map(_sha256, [folder / name for name in manifest.weights])
    for (name, file), sha256 in zip(manifest.weights.items(), hashes, strict=True):
        if sha256 != file.sha256:
            raise ModelError(
                f"{folder / name} is not the file that chatreid.json names: it was damaged or replaced; {_MEND}"
            )


def _sha256(file: Path) -> str:
    stat = file.stat()
    return _sha256_of(file.resolve(), stat.st_size, stat.st_mtime_ns)


@lru_cache(256)
def _sha256_of(file: Path, _size: int, _mtime: int) -> str:
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()
