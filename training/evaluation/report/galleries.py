"""Rank galleries: the queries that fared best and worst, with their first places, right and wrong marked."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

import numpy as np

from training.evaluation.rankings import SHOWN, Rankings, picture_file
from training.evaluation.report.runs import Run

PLACES = 10


def rank_gallery(run: Run, setting: str, kept: Rankings) -> str:
    """HTML of the best and the worst queries; "" where no thumbnails were kept."""
    best, worst = kept.best(SHOWN), kept.worst(SHOWN)
    parts = [
        f'<div class="ranked"><h4>{title}</h4>'
        + "".join(_query(run.folder, setting, kept, int(query)) for query in queries)
        + "</div>"
        for title, queries in (("Best queries", best), ("Worst queries", worst[~np.isin(worst, best)]))
        if len(queries)
    ]
    return "".join(parts)


def _query(folder: Path, setting: str, kept: Rankings, query: int) -> str:
    side = kept.queries
    text = str(side.texts[query])
    shown = _picture(picture_file(folder, setting, "q", query), f"query {side.names[query]}")
    said = f'<q title="{escape(text)}">{escape(text)}</q>' if text else ""
    told = f"AP {100 * kept.ap[query]:.1f}"
    first = int(kept.first[query])
    if first > PLACES:
        told += f", first right at {first}"
    camera = f" · camera {escape(str(side.cameras[query]))}" if side.cameras[query] else ""
    asked = f'<figure class="asked">{shown or ""}{said}<figcaption>{told}{camera}</figcaption></figure>'
    places = [
        _place(folder, setting, kept, query, place) for place in range(PLACES) if kept.top[query, place] >= 0
    ]
    return f'<div class="row">{asked}<div class="places">{"".join(places)}</div></div>'


def _place(folder: Path, setting: str, kept: Rankings, query: int, place: int) -> str:
    crop, right = int(kept.top[query, place]), bool(kept.hits[query, place])
    word, mark = ("right", "✓") if right else ("wrong", "✗")
    picture = _picture(picture_file(folder, setting, "g", crop), f"{word}: {kept.gallery.names[crop]}")
    camera = str(kept.gallery.cameras[crop])
    return (
        f'<figure class="{word}"><span class="mark" title="{word}">{mark}</span>{picture}'
        f"<figcaption>{place + 1}{' · c' + escape(camera) if camera else ''}</figcaption></figure>"
    )


def _picture(file: Path, said: str) -> str:
    """The thumbnail inside the page, or an empty frame where it was not kept."""
    try:
        data = base64.b64encode(file.read_bytes()).decode()
    except OSError:
        return "" if said.startswith("query") else '<span class="gone"></span>'
    return f'<img src="data:image/jpeg;base64,{data}" width="64" height="128" alt="{escape(said)}">'
