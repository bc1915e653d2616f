"""The page: what stands where, and which event calls which handler. Layout only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from app.retrieval.comparison import Comparison
from app.service import ChatService
from app.ui import gallery_tab
from app.ui.api import add_api
from app.ui.edge import PRIVATE, in_order
from app.ui.filter_bar import bar_html
from app.ui.guard import Owner
from app.ui.handlers import Handlers
from app.ui.html import (
    PAGE,
    Sought,
    answers_html,
    candidates_html,
    chips_html,
    guide_html,
    header_html,
    render,
    selected_html,
)
from app.ui.sharing import Sharing
from app.ui.view import Components, View
from app.uploads import Uploads
from gallery_store.crops import Filters

EXAMPLES = (
    "I'm looking for a woman in a red jacket with a backpack",
    "A man with a suitcase, seen after 14:00",
    "Someone in a blue coat, without a hat",
)
SHORTCUTS = (  # what page/keys.js does
    (("/",), "type a message"),
    (("c",), "go to the candidates"),
    (("←", "→", "↑", "↓"), "from candidate to candidate"),
    (("Enter",), "select the candidate"),
    (("z",), "the picture at full size"),
    (("+", "−", "0"), "in a picture: larger, smaller, all of it"),
    (("c", "q"), "in a picture: compare with another, the query beside it"),
    (("s",), "search with this person"),
    (("y",), "this is the one"),
    (("n",), "not this one"),
    (("b", "a"), "before this, after this"),
    (("m",), "more candidates"),
    (("g", "o"), "group by person, open a stack"),
    (("u",), "undo"),
    (("?",), "this sheet"),
)
WHY = {False: "not stated; kept in the log", True: "needed before the first search; kept in the log"}
# Steps at once, of as many operators; those of one conversation follow each other, and their searches take turns.
MODEL: dict[str, Any] = {"concurrency_limit": 64, "concurrency_id": "model"}


class Page(gr.Blocks):
    """gr.Blocks whose answers may hold paths.

    gradio_client takes any {"path": ...} in an answer for a file to be fetched, unless the server says that it
    marks its files, as it does since this version of the protocol; the later one differs for this client only
    in when the connection is closed.
    """

    def get_config_file(self) -> Any:
        return {**super().get_config_file(), "protocol": "sse_v2.1"}


def build_screen(service: ChatService, uploads: Uploads, owner: Owner) -> gr.Blocks:
    """The whole page and the API. owner: may name folders of this machine in the Gallery tab."""
    engine = service.engine
    with Page(
        title="ChatReID", analytics_enabled=False, fill_width=True, delete_cache=(3600, 86400)
    ) as blocks:
        header = gr.HTML(header_html(engine), elem_id="header")
        with gr.Tabs():
            with gr.Tab("Search", id="search"):
                handlers, components = _search_tab(service, uploads)
            with gr.Tab("Gallery", id="gallery"):
                of_gallery, fill_gallery = gallery_tab.build(
                    service, uploads, owner, header, components.filters
                )
            with gr.Tab("Responsible use", id="about"):
                gr.HTML(guide_html(engine), elem_id="guide")
        add_api(service, uploads, MODEL)

        def fill(request: gr.Request) -> dict[Any, Any]:
            return {header: header_html(engine), **fill_gallery(request)}

        blocks.load(fill, None, [header, *of_gallery], **PRIVATE)
        blocks.load(handlers.open, None, components.of_a_case, queue=False, **PRIVATE)
    return blocks


def _search_tab(service: ChatService, uploads: Uploads) -> tuple[Handlers, Components]:
    with gr.Row(elem_id="desk"):
        with gr.Column(elem_id="pane-chat", elem_classes="cr-pane"):
            cases = gr.HTML("", elem_id="cases", js_on_load=_script("cases"))
            chatbot = gr.Chatbot(
                elem_id="chatbot", show_label=False, height=None, buttons=[], layout="bubble",
                feedback_options=None, examples=[{"text": text} for text in EXAMPLES],
                placeholder="**Whom are you looking for?**\n\nDescribe the person in your own words, "
                "or drop a photo. Results are candidates, never identities.",
            )  # fmt: skip
            answers = gr.HTML(answers_html(None), elem_id="answers", js_on_load=_script("answers"))
            message = gr.MultimodalTextbox(
                elem_id="message", show_label=False, label="Message", sources=["upload"], max_lines=4,
                file_types=["image"], file_count="multiple", placeholder="Describe the person…",
                max_plain_text_length=20_000,
            )  # fmt: skip
            drop = gr.HTML(render("drop"), elem_id="drop", js_on_load=_script("drop"))
            sent = gr.HTML("", elem_id="sent", js_on_load=_script("sent"))
            with gr.Row(elem_classes="cr-row"):
                undo = gr.Button("Undo", elem_id="undo", size="sm", interactive=False)
                redo = gr.Button("Redo", elem_id="redo", size="sm", interactive=False)
                start_over = gr.Button("Start over", elem_id="start-over", size="sm")
                stop = gr.Button("Stop", elem_id="stop", size="sm", interactive=False)
                photo = gr.UploadButton(
                    "Crop photo", file_types=["image"], file_count="single", size="sm", elem_id="crop-photo"
                )
            use_reading = gr.Button(
                "Use the model's reading", elem_id="use-model-reading", size="sm", visible=False
            )
            reason = gr.Textbox(
                label="Reason", info=None, placeholder=WHY[service.needs_reason], max_lines=1,
                max_length=200, elem_id="reason", elem_classes="cr-reason",
            )  # fmt: skip
            gr.HTML(render("keys", shortcuts=SHORTCUTS), elem_id="keys", js_on_load=_script("keys"))
        with gr.Column(elem_id="pane-candidates", elem_classes="cr-pane"):
            cropper = gr.HTML("", elem_id="cropper", visible=False, js_on_load=_script("crop"))
            chips = gr.HTML(chips_html(()), elem_id="chips", js_on_load=_script("chips"))
            filters = gr.HTML(
                bar_html(service.store, Filters()), elem_id="filters", js_on_load=_script("filters")
            )
            candidates = gr.HTML(
                candidates_html((), None),
                elem_id="candidates",
                js_on_load=_script("candidates") + _script("stacks"),
            )
        with gr.Column(elem_id="pane-selected", elem_classes="cr-pane"):
            gr.HTML("<h2>Selected candidate</h2>", elem_classes="cr-title")
            selected = gr.HTML(selected_html(None, Sought(), Comparison()), elem_id="selected")
            with gr.Row(elem_classes="cr-row cr-actions"):
                search_with = gr.Button(
                    "Search with this person",
                    elem_id="search-with-this",
                    variant="primary",
                    interactive=False,
                )
                confirm = gr.Button("This is the one", elem_id="confirm", interactive=False)
                reject = gr.Button("Not this one", elem_id="reject", interactive=False)
            with gr.Row(elem_classes="cr-row cr-around"):
                before = gr.Button("Before this", elem_id="before", interactive=False)
                after = gr.Button("After this", elem_id="after", interactive=False)
                minutes = gr.Number(
                    30, label="Within minutes", precision=0, step=5,
                    elem_id="around-minutes", elem_classes="cr-reason",
                )  # fmt: skip

    board = gr.HTML("", elem_id="board", js_on_load=_script("board"))
    gr.HTML(render("viewer"), elem_id="viewer", js_on_load=_script("viewer"))
    components = Components(
        message,
        chatbot,
        answers,
        chips,
        candidates,
        selected,
        search_with,
        confirm,
        reject,
        before,
        after,
        undo,
        stop,
        cropper,
        use_reading,
        redo,
        cases,
        sent,
        reason,
        board,
        filters,
    )
    handlers = Handlers(service, View(components, uploads))

    def on(event: Callable[..., Any], handler: Callable[..., Any], inputs: Any = None, **more: Any) -> Any:
        handler = in_order(service, handler)
        return event(handler, inputs, components.of_a_step, **PRIVATE, **MODEL, **more)

    # A message shows at once, before its turn in the queue comes. What can be sent, or clicked in earnest, while
    # another step is being done waits its turn ("multiple"); Gradio would drop it.
    each: dict[str, Any] = {"trigger_mode": "multiple"}
    at_once = {"outputs": [message, *components.of_a_step], "queue": False, **PRIVATE, **each}
    on(message.submit(handlers.announce, message, **at_once).then, handlers.answer, reason, **each)
    on(chatbot.example_select(handlers.announce_example, **at_once).then, handlers.answer, reason, **each)
    on(answers.answer(handlers.announce_answer, **at_once).then, handlers.answer, reason, **each)
    sent.back(handlers.go_on, None, components.of_a_case, **PRIVATE, **MODEL)

    on(candidates.choose, handlers.choose)
    on(candidates.more, handlers.more)
    on(candidates.order, handlers.order)
    on(candidates.group, handlers.group)
    on(chips.remove, handlers.remove_chip, reason, **each)
    on(filters.set, handlers.set_filters, reason, **each)
    on(search_with.click, handlers.search_with, reason)
    on(confirm.click, handlers.confirm, reason)
    on(reject.click, handlers.reject, reason)
    on(before.click, handlers.before, [reason, minutes])
    on(after.click, handlers.after, [reason, minutes])
    for button, announce in (
        (undo, handlers.announce_undo),
        (redo, handlers.announce_redo),
        (start_over, handlers.announce_start_over),
    ):
        on(button.click(announce, **at_once).then, handlers.answer, reason, **each)
    on(use_reading.click, handlers.use_model_reading, reason)
    # At once, so that a message sent behind it does not take the reason along into the new case.
    start_over.click(None, None, reason, js="() => ''", **PRIVATE)
    for left in (reason.submit, reason.blur):
        given = in_order(service, handlers.reason_given)
        left(given, reason, components.of_a_case, **PRIVATE, **MODEL)
    on(cases.rename, handlers.rename_case)
    on(cases.close, handlers.close_case)
    sharing = Sharing(handlers)
    on(cases.share_with, sharing.share)
    on(cases.unshare, sharing.unshare)
    of_cropper: dict[str, Any] = {"outputs": [cropper, message], "queue": False, **PRIVATE}
    drop.attached(handlers.cropper.attached, message, trigger_mode="always_last", **of_cropper)
    on(photo.upload, handlers.cropper.choose, photo)
    cropper.cancel(handlers.cropper.cancel, message, **of_cropper)
    on(cropper.crop(handlers.cropper.announce, message, **at_once).then, handlers.answer, reason, **each)
    on(board.search, handlers.search_sighting, reason)
    on(board.take_off, handlers.take_off, reason, **each)
    on(board.note, handlers.note, **each)
    stop.click(handlers.stop, None, None, queue=False, **PRIVATE)
    return handlers, components


def _script(name: str) -> str:
    return (PAGE / f"{name}.js").read_text(encoding="utf-8")
