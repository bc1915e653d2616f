"""What the page shows, as HTML: the templates of page/, and the values that go into them.

The templates escape every value. (Those of gr.HTML are no safe place for it: Gradio evaluates what Handlebars made
as a JavaScript template, so that a camera named "${alert(1)}" would run.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from app.cards import Card, camera_name, shown_name
from app.case_steps import NOT_KEPT
from app.chat.chips import ALL_FILTERS, Chip
from app.chat.questions import Question
from app.chat.reply import PHOTOGRAPHS, labels_of
from app.refused import Refused
from app.retrieval.comparison import Comparison
from app.retrieval.engine import Engine
from app.retrieval.ranking import Ranking
from app.retrieval.reid import crops_of_calibration, uncalibrated_searches
from app.session import PAGE_OF_CARDS, ChatSession
from app.settings import FUSED
from app.stacks import Stack, stacks
from gallery_store.cases import CaseRecord
from gallery_store.errors import GalleryError

PAGE = Path(__file__).parent / "page"
ORDERS = (("fit", "Best fit"), ("earliest", "Earliest"), ("latest", "Latest"))
MUCH_LARGER = 3  # times as many crops as it was fitted over: a calibration is not believed that far
UNCALIBRATED = {
    "": "",
    "all": "Uncalibrated checkpoint: candidates have a rank, and no confidence.",
    "pictures": "Searches with a picture are uncalibrated: no calibration fits the re-ID encoder.",
    "words": "Searches by words alone are uncalibrated: no calibration fits this CLIP.",
}


def _source(name: str) -> str:
    """A template's text. Line breaks beside tags are layout of the file, not text of the page."""
    return re.sub(r"(?<=[>}])\s*\n\s*|\s*\n\s*(?=[<{])", "", (PAGE / name).read_text(encoding="utf-8"))


_templates = Environment(loader=FunctionLoader(_source), autoescape=True, undefined=StrictUndefined)
_templates.filters["count"] = "{:,}".format
_templates.filters["time"] = lambda moment, form: moment.strftime(form)
_templates.filters["camera"] = lambda camera: camera_name(camera).capitalize()


def render(template: str, **values: Any) -> str:
    """page/<template>.html with these values, each of them escaped."""
    return _templates.get_template(f"{template}.html").render(**values)


@dataclass(frozen=True)
class Sought:
    """The query as it is shown beside a candidate: its pictures (URLs or data URIs) and its words.

    originals: the same pictures as large as they are shown anywhere.
    """

    pictures: tuple[str, ...] = ()
    words: str = ""
    originals: tuple[str, ...] = ()


def cases_html(session: ChatSession) -> str:
    """The case in hand, and the list of the user's others; what is wrong with keeping it, in a sentence."""
    listed: list[CaseRecord] = []
    note = "" if session.service.keeps_cases else NOT_KEPT
    try:
        listed = session.service.cases_of(session.user)
    except Refused as problem:
        note = str(problem)
    return render(
        "cases",
        own=session.case,
        current=next((case for case in listed if case.id == session.case), None),
        user=session.user,
        can_share=session.service.can_share,
        open_cases=[case for case in listed if not case.is_closed],
        closed_cases=[case for case in listed if case.is_closed],
        note=session.not_kept or note,
        zone=session.service.store.zone,
    )


def sent_html(session: ChatSession, *, is_busy: bool = False) -> str:
    """What the page's script keeps over a reload: the tab, what it waits for, and what is given back to be typed on."""
    given_back = session.given_back
    return render(
        "sent",
        tab=session.tab,
        is_busy=is_busy or session.is_busy,
        waiting=json.dumps([message.text for message in session.waiting.unanswered]),
        waits=0 if session.waiting.is_held else sum(sent.step == "say" for sent in session.waiting.later),
        asks_reason=session.waiting.is_held,
        given_back=given_back.text if given_back else "",
    )


def header_html(engine: Engine) -> str:
    """Name, gallery and the model in use, with a plain word when its answers need caution."""
    crops = cameras = 0
    problem = ""
    try:
        crops, cameras = engine.store.count(), len(engine.store.cameras())
    except GalleryError as error:
        problem = str(error)
    return render("header", crops=crops, cameras=cameras, problem=problem, model=_model_in_words(engine))


def guide_html(engine: Engine) -> str:
    """How a search works, what the figures mean, and what is asked of whoever searches."""
    return render("guide", k=engine.k, model=_model_in_words(engine))


def _model_in_words(engine: Engine) -> dict[str, str]:
    """The model's name, what it knows, who ranks, and whether that is calibrated with the encoders in use."""
    if engine.model is None:
        return {"name": "CLIP alone", "caution": "No model reads the candidates."}
    name, manifest = shown_name(engine.model.name), engine.model.manifest
    cautions = []
    if manifest is not None and (knows := manifest.knows.strip().rstrip(".").removeprefix("Knows ")):
        cautions.append(f"Knows {knows}.")
    ranker = engine.ranker
    if ranker.note:
        cautions.append(ranker.note)
    elif ranker.name != FUSED:
        cautions.append(f"Ranked by {ranker.name}: candidates have a rank, and no confidence.")
    else:
        cautions.append(UNCALIBRATED[uncalibrated_searches(manifest, engine.encoder, engine.reid)])
        cautions.append(_too_sure(engine))
    return {"name": name, "caution": " ".join(filter(None, cautions))}


def _too_sure(engine: Engine) -> str:
    """What to say of confidences that were fitted over far fewer crops than are searched; "" otherwise."""
    manifest = engine.model.manifest if engine.model is not None else None
    fitted, crops = crops_of_calibration(manifest, engine.encoder, engine.reid), engine.store.count()
    if not fitted or crops <= MUCH_LARGER * fitted:
        return ""
    return f"Confidences were fitted among {fitted:,} crops; among {crops:,} they are too sure."


def chips_html(chips: Sequence[Chip]) -> str:
    """What was understood, each part with a button that removes it; beside a picture one for all filters, which may
    belong to a question before the person.
    """
    is_person_filtered = {"reference", "filter"} <= {chip.kind for chip in chips}
    return render("chips", chips=chips, all_filters=ALL_FILTERS if is_person_filtered else "")


def answers_html(question: Question | None) -> str:
    """A button for each answer that is offered to what the chat has asked; nothing where it asks nothing."""
    return render("answers", question=question)


def candidates_html(
    cards: Sequence[Card],
    ranking: Ranking | None,
    selected_id: int | None = None,
    remaining: int = 0,
    order: str = "fit",
    stacked: Sequence[Stack] = (),
    is_grouped: bool = False,
) -> str:
    """The grid of candidates, numbered in their order. remaining: how many further ones could be shown. order: "fit",
    "earliest" or "latest". stacked: the same cards by person; each alone where it is empty.
    """
    notes = _notes(ranking) if ranking is not None else []
    more = min(remaining, PAGE_OF_CARDS)
    return render(
        "candidates",
        cards=cards,
        stacks=stacked or stacks(cards, {}),
        is_grouped=is_grouped,
        ranking=ranking,
        notes=notes,
        selected_id=selected_id,
        more=more,
        remaining=remaining,
        order=order,
        orders=ORDERS if ranking is None or ranking.ranker else ORDERS[1:],
        photographs=PHOTOGRAPHS,
    )


def _notes(ranking: Ranking) -> list[str]:
    """What was searched, in a few words."""
    by_clip = "listed by time" if ranking.ranker is None else "ranked by CLIP"
    scored = f"{ranking.scored:,} read by the model" if ranking.scored else by_clip
    notes = [f"{ranking.searched:,} crops searched", scored, f"{ranking.timings.total:.1f} s"]
    if not ranking.calibrated and ranking.ranker is not None:
        notes.append("uncalibrated" if ranking.judged else "not judged")
    if ranking.stopped:
        notes.append("stopped early")
    return notes


def selected_html(
    card: Card | None, sought: Sought, compared: Comparison, judged_together: Sequence[Card] = ()
) -> str:
    """The candidate beside the query, and what the model reads in both. `card` None: what the panel is for."""
    rows = (
        ("In common", compared.common, "is-common"),
        ("Only the query", compared.only_first, "is-query"),
        ("Only this candidate", compared.only_second, "is-candidate"),
    )
    return render(
        "selected",
        card=card,
        sought=sought,
        compared=[
            {"title": title, "labels": labels_of(attributes), "style": style}
            for title, attributes, style in rows
            if attributes
        ],
        judged_together=judged_together,
    )


def cropper_html(
    picture: str, name: str, size: tuple[int, int] = (0, 0), *, is_attached: bool = False
) -> str:
    """A photo (its data URI and its file's name) under a box that can be drawn, moved and resized.

    size: width and height of the whole photo in pixels. is_attached: it stands in the message.
    """
    return render("cropper", picture=picture, name=name, size=size, is_attached=is_attached)
