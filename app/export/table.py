"""The sightings as a table that spreadsheets read, and take for nothing but text."""

from __future__ import annotations

import csv
from typing import TextIO

from app.export.report import Judged, Report

COLUMNS = (
    "judgement",
    "number",
    "camera",
    "time",
    "note",
    "confidence",
    "weak",
    "rank",
    "judged",
    "judged_by",
    "crop",
    "imported_as",
    "sha256",
    "picture",
    "problem",
)
# What a spreadsheet would take for a formula, in its own width and in that of East Asian scripts.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "|", "%")


def write_csv(report: Report, target: TextIO) -> None:
    """A row for each crop that was confirmed, in the order of time, and then for each that was ruled out.

    Times are ISO 8601 with the offset of the gallery's zone. Words that a spreadsheet would calculate begin with "'".
    """
    table = csv.writer(target)
    table.writerow(COLUMNS)
    for judgement, some in (("confirmed", report.sightings), ("ruled out", report.rejected)):
        for number, one in enumerate(some, start=1):
            table.writerow([judgement, number, *map(_plain, _row(one))])


def _row(one: Judged) -> tuple[str | int, ...]:
    crop, time = one.crop, one.stop.time
    return (
        (crop.camera or "") if crop else "",
        time.isoformat() if time else "",
        one.stop.sighting.note,
        one.confidence,
        "yes" if one.weak else "no",
        "" if one.rank is None else one.rank,
        one.said.isoformat(timespec="seconds"),
        one.by,
        one.stop.image_id,
        crop.path if crop else "",
        crop.sha256 if crop else "",
        one.picture,
        one.problem,
    )


def _plain(cell: str | int) -> str | int:
    if isinstance(cell, str) and cell.lstrip(" \u00a0\u3000").startswith(_FORMULAS):
        return f"'{cell}"
    return cell
