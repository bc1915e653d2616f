"""Samples on one page for a person to read: pictures in their places, the question, the answer."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterable
from html import escape
from io import BytesIO
from pathlib import Path

from PIL import Image

from gallery_store.decoding import PictureError
from training.instructions.sample import InstructionSample
from training.instructions.stream import Samples

HEIGHT = 200  # px of a picture on the page, at most
_NAME = re.compile(r"Image \d+")
_NAME_BEFORE = re.compile(r"(Image \d+):\s*$")

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head><body>
<header><h1>{title}</h1><p class="lead">{lead}</p>
<div class="tasks">{tasks}</div>{notes}</header>
<main>{cards}</main>
<script>{script}</script></body></html>
"""

_STYLE = """
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1b1f24;--dim:#667085;--line:#e2e5ea;
--mark:#3457d5;--good:#0a7a4b;--goodbg:#e7f6ee}
@media(prefers-color-scheme:dark){:root{--bg:#14161a;--card:#1d2026;--ink:#e8eaed;--dim:#98a1b0;--line:#30343c;
--mark:#8ea6ff;--good:#63d79f;--goodbg:#16301f}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.55 system-ui,sans-serif}
header,main{max-width:980px;margin:0 auto;padding:0 16px}
header{padding-top:28px}h1{font-size:1.45rem;margin:0 0 4px}
.lead{color:var(--dim);margin:0 0 14px}
.tasks{display:flex;flex-wrap:wrap;gap:8px;margin-bottom:12px}
button{font:inherit;font-size:.86rem;padding:6px 12px;min-height:36px;border-radius:18px;border:1px solid var(--line);
background:var(--card);color:var(--ink);cursor:pointer}
button small{color:var(--dim);margin-left:4px}
button[aria-pressed=true]{border-color:var(--mark);color:var(--mark)}
button:focus-visible{outline:2px solid var(--mark);outline-offset:2px}
details{color:var(--dim);font-size:.9rem;margin-bottom:12px}
article{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:16px;margin:0 0 16px}
.head{display:flex;flex-wrap:wrap;gap:4px 12px;align-items:baseline;margin-bottom:8px;font-size:.86rem;color:var(--dim)}
.head b{color:var(--mark);font-weight:600}
.ask{display:flex;flex-wrap:wrap;gap:8px;align-items:flex-start}
.text{white-space:pre-wrap;overflow-wrap:anywhere;max-width:68ch}
figure{margin:0;padding:5px;border:2px solid transparent;border-radius:10px;width:min-content}
figure.right{border-color:var(--good)}
figure b{display:block;font-size:.78rem;font-weight:600;white-space:nowrap;margin-bottom:2px}
figure img{display:block;height:clamp(120px,24vw,200px);width:auto;border-radius:6px;background:var(--line)}
figcaption{font-size:.72rem;line-height:1.3;color:var(--dim);margin-top:3px;white-space:nowrap;overflow:hidden;text-overflow:ellipsis;max-width:110px}
.bad{display:block;height:120px;width:90px;border-radius:6px;border:1px dashed var(--dim);font-size:.7rem;padding:6px}
.answer{margin-top:10px;padding:8px 12px;border-radius:8px;background:var(--goodbg);color:var(--good);
font-weight:600;overflow-wrap:anywhere}
"""

_SCRIPT = """
const buttons=[...document.querySelectorAll('button')];
buttons.forEach(b=>b.onclick=()=>{const on=b.getAttribute('aria-pressed')==='true';
buttons.forEach(x=>x.setAttribute('aria-pressed','false'));if(!on)b.setAttribute('aria-pressed','true');
document.querySelectorAll('article').forEach(a=>a.hidden=!on&&a.dataset.task!==b.dataset.task)});
"""


def write_page(samples: Samples, indices: Iterable[int], file: Path, title: str, lead: str) -> int:
    """Writes one HTML file that needs nothing beside it, and returns how many samples it shows."""
    shown = [(index, samples.sample(index)) for index in indices]
    counts = Counter(sample.task for _, sample in shown)
    tasks = "".join(
        f'<button data-task="{escape(task)}" aria-pressed="false">{escape(task)}<small>{count}</small></button>'
        for task, count in counts.most_common()
    )
    report = samples.plan.report()
    notes = "".join(f"<li>{escape(line)}</li>" for line in report)
    page = _PAGE.format(
        title=escape(title),
        lead=escape(lead),
        style=_STYLE,
        script=_SCRIPT,
        tasks=tasks,
        notes=f"<details><summary>What these data cannot give</summary><ul>{notes}</ul></details>"
        if notes
        else "",
        cards="\n".join(_card(samples, index, sample) for index, sample in shown),
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(file.name + ".partial")
    partial.write_text(page, encoding="utf-8")
    partial.replace(file)
    return len(shown)


def _card(samples: Samples, index: int, sample: InstructionSample) -> str:
    rows = iter(sample.pictures)
    named = set(_NAME.findall(sample.answer))
    parts, name = [], ""
    for message in sample.messages:
        for part in message["content"]:
            if part["type"] == "image":
                parts.append(_figure(samples, next(rows), name, name in named))
                continue
            # A picture's name stands over it, so that galleries flow; the words are otherwise as they are.
            text, name = part["text"], ""
            if found := _NAME_BEFORE.search(text):
                text, name = text[: found.start()], found.group(1)
            if text.strip():
                parts.append(f'<span class="text">{escape(text.strip(chr(10)))}</span>')
    data_set = samples.records.sets[sample.pictures[0]] if sample.pictures else ""
    return (
        f'<article data-task="{escape(sample.task)}"><div class="head"><b>{escape(sample.task)}</b>'
        f"<span>{escape(data_set)}</span><span>sample {index}</span></div>"
        f'<div class="ask">{"".join(parts)}</div><div class="answer">{escape(sample.answer)}</div></article>'
    )


def _figure(samples: Samples, row: int, name: str, right: bool) -> str:
    record = samples.record(row)
    known = [record.person.partition("/")[2] or record.person]
    known += [f"camera {record.camera}"] if record.camera else []
    known += [f"clothes {record.clothes}"] if record.clothes else []
    known += ["infrared"] if record.infrared else []
    try:
        picture = f'<img alt="{escape(name)}" src="{_embedded(samples.picture(row))}">'
    except PictureError as problem:
        picture = f'<span class="bad">{escape(f"{record.image}: {problem.reason}")}</span>'
    mark = ' class="right"' if right else ""
    lines = "<br>".join(escape(line) for line in known)
    return f"<figure{mark}><b>{escape(name)}</b>{picture}<figcaption>{lines}</figcaption></figure>"


def _embedded(picture: Image.Image) -> str:
    small = picture.copy()
    small.thumbnail((2 * HEIGHT, 2 * HEIGHT) if picture.width > picture.height else (HEIGHT, 2 * HEIGHT))
    data = BytesIO()
    small.save(data, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()
