"""Files that survive a kill: the old one or the new one, never a half."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write_text(text: str, file: Path) -> None:
    """Through a partial file, synced to disk, then renamed."""
    partial = file.with_name(f".{file.name}.part")
    with partial.open("w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    partial.replace(file)


def write_json(value: Any, file: Path) -> None:
    """As write_text."""
    write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", file)


def read_json(file: Path) -> Any:
    """Raises ValueError naming a damaged file, FileNotFoundError."""
    try:
        return json.loads(file.read_text("utf-8"))
    except ValueError:
        raise ValueError(f"{file} is damaged") from None


def read_rows(file: Path) -> list[dict[str, Any]]:
    """Rows of a JSON-lines file; a last line that a kill cut off is left out. No file: no rows."""
    rows = []
    for line in file.read_text("utf-8").splitlines() if file.is_file() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def append_row(row: dict[str, Any], file: Path) -> None:
    """One row more, in one write."""
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps(row, ensure_ascii=False) + "\n")


def sync_tree(folder: Path) -> None:
    """All files below a folder are on disk when this returns."""
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
