"""`python -m training digest`: the SHA-256 of a checkpoint's weight files, into its manifest."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from gallery_store.console import remark

HELP = "write the digests of a checkpoint's weight files into its manifest"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", nargs="+", type=Path, help="a checkpoint's folder, with its chatreid.json")


def run(chosen: argparse.Namespace) -> int:
    from app.model.checkpoint import FILE_NAME, CheckpointManifest, ModelError
    from app.model.digests import weight_files

    for folder in chosen.folder:
        try:
            manifest = CheckpointManifest.read(folder)
        except ModelError as error:
            remark(str(error))
            return 1
        if manifest is None:
            remark(f"{folder} has no {FILE_NAME}; name the folder of a checkpoint that has one")
            return 1
        files = weight_files(folder)
        if not files:
            remark(f"{folder} has no .safetensors weights; copy the checkpoint again")
            return 1
        replace(manifest, weights=files).write(folder)
        print(f"{folder}: {len(files)} {'file' if len(files) == 1 else 'files'} of weights")
    return 0
