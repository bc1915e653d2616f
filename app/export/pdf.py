"""The report as a PDF, for whoever files it on paper. It says what the page says."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import IO, Any
from xml.sax.saxutils import escape

from app.export.page import Thumbnail, facts_of, moment
from app.export.report import Judged, Photo, Report
from app.timeline import by_day
from gallery_store.decoding import PictureError, open_picture

_WIDTH, _HEIGHT = 62.0, 124.0  # points, the most of a picture
_MOST = 300  # characters of one line of a card, all of which has to fit on a page
_MOST_OF_TEXT = 4000
_CJK = {"han": "STSong-Light", "kana": "HeiseiMin-W3", "hangul": "HYSMyeongJo-Medium"}


def write_pdf(report: Report, target: IO[bytes], thumbnail: Thumbnail) -> None:
    """thumbnail: a small JPEG of a crop or a photo."""
    from reportlab.lib.pagesizes import A4
    from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer

    styles = _styles()
    story: list[Any] = [Paragraph(_text(report.case.title), styles["title"])]
    counts = f"{len(report.sightings)} confirmed, {len(report.rejected)} ruled out."
    story += [
        Paragraph(f"{counts} All times are in the time zone {_text(str(report.zone))}.", styles["soft"])
    ]
    story += [Spacer(1, 6), _table(facts_of(report), styles)]
    story += [Paragraph("Sightings in the order of time", styles["heading"])]
    of_stop = {one.stop.image_id: one for one in report.sightings}
    number = 0
    for day, stops in by_day([one.stop for one in report.sightings]):
        story.append(Paragraph(_text(day), styles["day"]))
        for stop in stops:
            number += 1
            story += _card(of_stop[stop.image_id], number, thumbnail, styles)
    if not report.sightings:
        story.append(Paragraph("Nobody was confirmed.", styles["text"]))
    story.append(Paragraph("What was searched for", styles["heading"]))
    sought = " · ".join(report.query) or "Nothing is searched for now."
    story.append(Paragraph(_text(sought, _MOST_OF_TEXT), styles["text"]))
    for photo in report.photos:
        story += [*_picture(photo, thumbnail), Paragraph(_text(photo.name), styles["soft"])]
    story.append(Paragraph("Ruled out", styles["heading"]))
    for place, one in enumerate(report.rejected, start=1):
        story += _card(one, place, thumbnail, styles)
    if not report.rejected:
        story.append(Paragraph("Nobody was ruled out.", styles["text"]))
    story.append(Paragraph("What the figures mean", styles["heading"]))
    story += [Paragraph(_text(words, _MOST_OF_TEXT), styles["text"]) for words in report.meanings]
    story.append(Paragraph("Model and calibration", styles["heading"]))
    for used in report.used:
        span = f"{used.searches} searches, {moment(used.first)} to {moment(used.last)}"
        story += [Paragraph(_text(span), styles["day"]), _table(used.facts, styles)]
    story.append(Paragraph("Who did what, and when", styles["heading"]))
    story += [
        Paragraph(
            f"<font color='#5c6878'>{moment(step.time)}</font> "
            + _text(f"{step.by}: {step.words}" if step.by else step.words, _MOST_OF_TEXT),
            styles["text"],
        )
        for step in report.steps
    ]
    title = report.case.title

    def page(canvas: Any, document: Any) -> None:
        canvas.saveState()
        canvas.setFont(_fonts()[0], 8)
        canvas.drawRightString(A4[0] - 48, 28, f"Page {document.page}")
        canvas.restoreState()

    SimpleDocTemplate(
        target, pagesize=A4, leftMargin=48, rightMargin=48, topMargin=48, bottomMargin=48,
        title=title, author=report.exported_by, creator="ChatReID",
    ).build(story, onFirstPage=page, onLaterPages=page)  # fmt: skip


def _card(one: Judged, number: int, thumbnail: Thumbnail, styles: dict[str, Any]) -> list[Any]:
    from reportlab.platypus import Paragraph, Spacer, Table

    words = [Paragraph(_text(one.stop.since), styles["soft"])] if one.stop.since else []
    place = f"{number}. {_text(one.stop.camera)}, {_text(moment(one.stop.time))}"
    words.append(Paragraph(f"<b>{place}</b>", styles["text"]))
    if one.stop.sighting.note:
        words.append(Paragraph(_text(one.stop.sighting.note), styles["text"]))
    weak = ", weak" if one.weak else ""
    rank = f"; candidate {one.rank} then" if one.rank else ""
    words.append(Paragraph(_text(f"Confidence: {one.confidence}{weak}{rank}"), styles["soft"]))
    words.append(Paragraph(_text(f"Judged {moment(one.said)} by {one.by}"), styles["soft"]))
    if one.crop is None:
        words.append(Paragraph(f"Crop {one.stop.image_id}, deleted from the gallery since", styles["soft"]))
    else:
        words.append(
            Paragraph(_text(f"Crop {one.stop.image_id}, imported as {one.crop.path}"), styles["soft"])
        )
        words.append(Paragraph(f"SHA-256 {one.crop.sha256}", styles["small"]))
    if one.problem:
        words.append(Paragraph(_text(one.problem), styles["soft"]))
    table = Table(
        [[_picture(one, thumbnail), words]],
        colWidths=[_WIDTH + 12, None],
        style=[("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (0, 0), 0)],
    )
    return [table, Spacer(1, 4)]


def _picture(one: Judged | Photo, thumbnail: Thumbnail) -> list[Any]:
    from reportlab.platypus import Image

    file = thumbnail(one)
    return [Image(str(file), *_size(file), hAlign="LEFT")] if file else []


def _size(file: Path) -> tuple[float, float]:
    """Points, of a picture that fits."""
    try:
        width, height = open_picture(file).size
    except PictureError:
        return _WIDTH, _HEIGHT
    scale = min(_WIDTH / width, _HEIGHT / height)
    return width * scale, height * scale


def _table(rows: Sequence[tuple[str, str]], styles: dict[str, Any]) -> Any:
    from reportlab.platypus import Paragraph, Table

    cells = [
        [Paragraph(_text(name), styles["soft"]), Paragraph(_text(value, 4 * _MOST), styles["text"])]
        for name, value in rows
    ]
    return Table(cells, colWidths=[110, None], style=[("VALIGN", (0, 0), (-1, -1), "TOP")] + [
        (pad, (0, 0), (-1, -1), 1) for pad in ("TOPPADDING", "BOTTOMPADDING")
    ] + [("LEFTPADDING", (0, 0), (0, -1), 0)])  # fmt: skip


def _text(words: str, most: int = _MOST) -> str:
    """As reportlab's markup: nothing in it acts, and each script has a font that draws it."""
    plain = "".join(sign if sign.isprintable() else " " for sign in words[:most])
    plain = plain + "…" if len(words) > most else plain
    runs = ((script, escape("".join(some))) for script, some in groupby(plain, _script))
    return "".join(f'<font name="{_cjk(script)}">{run}</font>' if script else run for script, run in runs)


def _script(sign: str) -> str:
    """ "han", "kana", "hangul", or "" for what DejaVu draws."""
    code = ord(sign)
    if 0x3040 <= code <= 0x30FF:
        return "kana"
    if 0xAC00 <= code <= 0xD7AF or 0x1100 <= code <= 0x11FF:
        return "hangul"
    return "han" if 0x2E80 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF or 0xFF00 <= code <= 0xFFEF else ""


@cache
def _cjk(script: str) -> str:
    """A font that readers of PDF bring along; it is not within the file."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont

    pdfmetrics.registerFont(UnicodeCIDFont(_CJK[script]))
    return _CJK[script]


@cache
def _fonts() -> tuple[str, str]:
    """Plain and bold, within the file as far as they are used: DejaVu, which comes with matplotlib."""
    import matplotlib
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    names = "DejaVuSans", "DejaVuSans-Bold"
    for name in names:
        pdfmetrics.registerFont(TTFont(name, str(folder / f"{name}.ttf")))
    pdfmetrics.registerFontFamily(names[0], *names, *names)
    return names


@cache
def _styles() -> dict[str, Any]:
    from reportlab.lib.colors import HexColor
    from reportlab.lib.styles import ParagraphStyle

    plain, bold = _fonts()
    text = ParagraphStyle("text", fontName=plain, fontSize=9, leading=12.5, textColor=HexColor("#1b2430"))
    soft = ParagraphStyle("soft", text, textColor=HexColor("#5c6878"))
    heading = ParagraphStyle(
        "heading", text, fontName=bold, fontSize=12, leading=16, spaceBefore=14, spaceAfter=4
    )
    return {
        "text": text,
        "soft": soft,
        "small": ParagraphStyle("small", soft, fontSize=7, leading=9),
        "day": ParagraphStyle("day", soft, fontName=bold, spaceBefore=6, spaceAfter=3),
        "heading": heading,
        "title": ParagraphStyle("title", heading, fontSize=16, leading=20, spaceBefore=0),
    }
