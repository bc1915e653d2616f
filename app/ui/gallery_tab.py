"""The Gallery tab: what is in the gallery, and bringing more into it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import gradio as gr
import numpy as np

from app.cards import thumbnail_url
from app.retrieval.engine import Engine
from app.service import ChatService
from app.session import ChatSession
from app.ui import imports as imports_list
from app.ui.background import BackgroundWork
from app.ui.edge import PRIVATE, refusal_as_error, session_of
from app.ui.filter_bar import filters_html
from app.ui.guard import Owner
from app.ui.html import header_html, render
from app.uploads import Uploads
from gallery_store.console import StepProgress
from gallery_store.crops import Filters
from gallery_store.errors import GalleryError
from gallery_store.importer import ImportReport, import_crops
from gallery_store.schema import Role
from gallery_store.store import GalleryStore

MOST_REJECTED_SHOWN = 20
NOT_THE_OWNER = (
    "Folders of this machine are imported by whoever started ChatReID: open the address with the key that stood in "
    "its terminal then, or upload a zip."
)

# Anybody chooses the names that these are run on: what one part takes, the next does not begin with, and what only
# counts in the last part of a name is looked for there alone. So each takes as long as the name is.
_LAST = r"(?:^|/)(?=[^/]*$)"
_TIME = r"(?P<time>\d{4}-?\d\d-?\d\d[T _-]?\d\d[-:.]?\d\d[-:.]?\d\d)"
# What can be chosen -> a pattern of names; None where the usual forms are tried.
NAMINGS: dict[str, str | None] = {
    "in one of the usual forms": None,
    "by folder: entrance/picture.jpg": r"(?:^|/)(?P<camera>[^/]+)/[^/]+$",
    "by camera and time: entrance_20260512-140520.jpg": (
        rf"{_LAST}(?P<camera>[^/]+?)(?<![ _-])[ _-]+{_TIME}"
    ),
    "by time and camera: 20260512-140520_entrance.jpg": (rf"{_LAST}{_TIME}[ _-]+(?P<camera>[^/. _-][^/.]*)"),
    "by folder, and by time: entrance/20260512-140520.jpg": (
        rf"(?:^|/)(?P<camera>[^/]+)/(?=[^/]*$)[^/]*?{_TIME}"
    ),
}
OTHER_NAMING = (
    " If their names or folders tell it in another way, choose that above and import the same pictures again: they are "
    "completed, and none is added twice."
)

Fill = Callable[[gr.Request], dict[Any, Any]]


def build(
    service: ChatService, uploads: Uploads, owner: Owner, header: gr.HTML, bar: gr.HTML
) -> tuple[list[Any], Fill]:
    """The tab's components and events; returns those that the page fills when it is loaded, and what fills them.

    owner: alone may import folders of this machine; everybody may upload a zip. header: of the page, and bar: of the
    filters, which count too.
    """
    engine, store = service.engine, service.store
    stops: dict[ChatSession, threading.Event] = {}  # of the imports under way
    with gr.Column(elem_id="pane-gallery"):
        stats = gr.HTML("", elem_id="gallery-stats")
        with gr.Row(elem_classes="cr-row cr-import"):
            path = gr.Textbox(
                label="Add crops from a folder, a zip, a CSV manifest or a COCO file on this machine",
                placeholder="/path/to/crops", max_lines=1, elem_id="import-path", visible=False,
            )  # fmt: skip
            camera = gr.Textbox(
                label="Their camera, if all come from one", placeholder="as their names say", max_lines=1,
                elem_id="import-camera",
            )  # fmt: skip
            names = gr.Dropdown(
                label="How their names tell camera and time", choices=list(NAMINGS), value=next(iter(NAMINGS)),
                elem_id="import-naming",
            )  # fmt: skip
        with gr.Row(elem_classes="cr-row"):
            start = gr.Button("Import", variant="primary", elem_id="import", visible=False)
            upload = gr.UploadButton("Upload a zip", file_types=[".zip"], elem_id="import-zip")
            halt = gr.Button("Stop import", elem_id="import-stop")
        note = gr.HTML(report_html(NOT_THE_OWNER), elem_id="import-note")
        report = gr.HTML("", elem_id="import-report")
        counted = [stats, gr.HTML("", elem_id="gallery-cameras"), header, bar]
        cameras = counted[1]

    def counts(request: gr.Request) -> dict[Any, str]:
        """What changes with the gallery."""
        return {
            stats: stats_html(store),
            cameras: cameras_html(store),
            header: header_html(engine),
            bar: filters_html(session_of(service, request)),
        }

    listed, imports = imports_list.build(service, owner, counted, counts)

    def from_path(text: str, camera: str, naming: str, request: gr.Request) -> Iterator[dict[Any, str]]:
        if not owner.sent(request):
            raise gr.Error(NOT_THE_OWNER)
        if not text.strip():
            yield {report: report_html("Name a folder, a zip, a CSV manifest or a COCO file first.")}
            return
        yield from run(Path(text.strip()).expanduser(), camera, naming, request)

    def from_zip(file: str | None, camera: str, naming: str, request: gr.Request) -> Iterator[dict[Any, str]]:
        if file:
            with refusal_as_error():
                _, paths = uploads.files_of({"files": [file]})
            yield from run(paths[0], camera, naming, request)

    def run(source: Path, camera: str, naming: str, request: gr.Request) -> Iterator[dict[Any, str]]:
        session = session_of(service, request)
        stop = stops[session] = threading.Event()
        reports: list[ImportReport] = []

        def do(progress: StepProgress) -> None:
            try:
                reports.append(
                    import_crops(
                        store, engine.encoder, source, reid=engine.reid, camera=camera.strip() or None,
                        user=session.user, pattern=NAMINGS.get(naming),
                        progress=lambda done, total: progress("Importing", done, total), stop=stop.is_set,
                    )
                )  # fmt: skip
            finally:
                stops.pop(session, None)

        try:
            for work in BackgroundWork(do).ticks():
                yield {report: render("import_progress", done=work.done, total=work.total)}
            store.refresh()
        except (ValueError, RuntimeError, OSError) as problem:
            yield {report: report_html(_without_path(str(problem), source, owner.sent(request)))}
            return
        yield {report: import_html(reports[0], engine), listed: imports.html(request), **counts(request)}

    def halt_own(request: gr.Request) -> None:
        if stop := stops.get(session_of(service, request)):
            stop.set()

    def fill(request: gr.Request) -> dict[Any, Any]:
        is_owner = owner.sent(request)
        return {
            stats: stats_html(store),
            cameras: cameras_html(store),
            listed: imports.html(request),
            path: gr.Textbox(visible=is_owner),
            start: gr.Button(visible=is_owner),
            note: gr.HTML(visible=not is_owner),
        }

    one_at_a_time: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "import", **PRIVATE}
    outputs = [report, listed, *counted]
    start.click(from_path, [path, camera, names], outputs, **one_at_a_time)
    path.submit(from_path, [path, camera, names], outputs, **one_at_a_time)
    upload.upload(from_zip, [upload, camera, names], outputs, **one_at_a_time)
    halt.click(halt_own, None, None, queue=False, **PRIVATE)
    return [stats, cameras, listed, path, start, note], fill


def _without_path(sentence: str, source: Path, is_owner: bool) -> str:
    """Where an uploaded file lies on the server is told to the owner alone."""
    return sentence if is_owner else sentence.replace(str(source), source.name)


def report_html(sentence: str) -> str:
    """One sentence below the form."""
    return render("import_report", sentence=sentence, notes=(), rejected=(), unlisted=0)


def import_html(report: ImportReport, engine: Engine) -> str:
    """What an import did, and each picture that it refused with the reason."""
    sentence = (
        f"{'Stopped: ' if report.stopped else ''}{report.in_words()}, "
        f"{report.ignored:,} other files ignored, {len(report.rejected):,} rejected."
    )
    manifest = engine.model.manifest if engine.model else None
    if manifest is not None and manifest.knows_drawn_only and report.are_photographs:
        sentence += (
            f" {report.photographs:,} of the new ones look like photographs, and the model in use knows drawn people "
            "only: searches among them give no percentages, and little more. A model for photographs is named "
            "with --model and --clip."
        )
    if any(" without a camera" in note or " without a time" in note for note in report.notes):
        sentence += OTHER_NAMING
    listed = report.rejected[:MOST_REJECTED_SHOWN]
    unlisted = len(report.rejected) - len(listed)
    return render("import_report", sentence=sentence, notes=report.notes, rejected=listed, unlisted=unlisted)


def stats_html(store: GalleryStore) -> str:
    """Crops, cameras, days and the encoder, as a row of figures; one sentence where the gallery cannot be read."""
    try:
        return render("gallery_stats", figures=_figures(store))
    except GalleryError as problem:
        return report_html(str(problem))


def _figures(store: GalleryStore) -> dict[str, str]:
    store.refresh()
    span = store.time_span()
    days = [f"{moment.astimezone(store.zone):%d %b %Y}" for moment in span] if span else []
    indexed_by = [encoder[0] for role in get_args(Role) if (encoder := store.encoder(role))]
    figures = {
        "Crops": f"{store.count():,}",
        "Cameras": f"{len(store.cameras())}",
        "Days": " to ".join(dict.fromkeys(days)) or "–",
        "Time zone": str(store.zone),
        "Indexed by": " and ".join(indexed_by) or "–",
    }
    if store.set_aside():
        figures["Set aside, damaged"] = f"{len(store.set_aside()):,}"
    if store.read_only:
        figures["Access"] = "read-only: nothing can be imported or deleted"
    return figures


def cameras_html(store: GalleryStore) -> str:
    """Three crops of each camera, spread over its time; nothing where the gallery cannot be read."""
    try:
        return render("gallery_cameras", cameras=_cameras(store))
    except GalleryError:  # stats_html says why
        return ""


def _cameras(store: GalleryStore) -> list[dict[str, Any]]:
    cameras: list[dict[str, Any]] = []
    for name in store.cameras():
        ids = store.matching(Filters(cameras=(name,)))
        if not len(ids):
            continue
        picked = ids[np.unique(np.linspace(0, len(ids) - 1, 3).round().astype(int))]
        thumbnails = [thumbnail_url(crop) for crop in store.crops(picked.tolist())]
        cameras.append({"name": name, "thumbnails": thumbnails, "crops": len(ids)})
    return cameras
