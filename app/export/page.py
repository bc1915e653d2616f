"""The report as one HTML page that needs nothing beside it: the pictures are small copies within."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.chat.labels import day_label
from app.export.report import Judged, Photo, Report
from app.timeline import by_day

Thumbnail = Callable[[Judged | Photo], Path | None]


def html_of(report: Report, thumbnail: Thumbnail) -> Iterator[str]:
    """The page in parts, so that it need not fit in memory. thumbnail: a small JPEG of a crop or a photo."""

    def data_uri(one: Judged | Photo) -> str:
        file = thumbnail(one)
        return "data:image/jpeg;base64," + base64.b64encode(file.read_bytes()).decode() if file else ""

    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(
        {"thumbnail": data_uri, "day": lambda time: day_label(time.date()), "clock": clock}
    )
    of_stop = {one.stop.image_id: one for one in report.sightings}
    days = [
        (day, [of_stop[stop.image_id] for stop in stops])
        for day, stops in by_day([one.stop for one in report.sightings])
    ]
    template = templates.get_template("report.html")
    return template.generate(report=report, facts=facts_of(report), days=days)


def facts_of(report: Report) -> list[tuple[str, str]]:
    """What stands at the top of a report: (name, value), in order."""
    case = report.case
    state = "closed" if case.is_closed else "open"
    return [
        ("Case", f"{case.id} ({state})"),
        ("Operator", f"{case.user}; shared with {', '.join(case.shared)}" if case.shared else case.user),
        ("Reason", report.reason),
        ("Last step", moment(case.changed.astimezone(report.zone))),
        ("Exported", f"{moment(report.made)} by {report.exported_by}"),
        ("Gallery", report.gallery),
        ("Time zone", f"{report.zone}"),
    ]


def moment(time: datetime | None) -> str:
    """ "12 May 2026, 14:05:20 (UTC+02:00)"; "no time" for None."""
    return f"{day_label(time.date())}, {clock(time)}" if time else "no time"


def clock(time: datetime) -> str:
    """ "14:05:20 (UTC+02:00)"."""
    offset = f"{time:%z}"
    return f"{time:%H:%M:%S} (UTC{offset[:3]}:{offset[3:5]})"
