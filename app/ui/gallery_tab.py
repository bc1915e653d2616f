"""The Gallery tab: what is in the gallery, and bringing more into it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from app.ui.cards import camera_name, thumbnail_url
from app.ui.desk import Desk
from app.ui.jobs import Job
from gallery_store.crops import Filters
from gallery_store.importer import ImportReport, import_crops
from gallery_store.store import GalleryStore

MOST_REJECTED_SHOWN = 20
PRIVATE: dict[str, Any] = {"api_visibility": "private", "api_name": "page", "show_progress": "hidden"}


def build(desk: Desk, *, may_import_paths: bool) -> tuple[gr.HTML, gr.HTML]:
    """The tab's components and events; returns those that the page fills when it is loaded.

    may_import_paths: False where others than this machine's user may log in.
    """
    store = desk.store
    stop = threading.Event()
    with gr.Column(elem_id="pane-gallery"):
        stats = gr.HTML("", elem_id="gallery-stats")
        with gr.Row(elem_classes="cr-row cr-import"):
            path = gr.Textbox(
                label="Add crops from a folder, a zip or a CSV manifest on this machine",
                placeholder="/path/to/crops", max_lines=1, elem_id="import-path", visible=may_import_paths,
            )  # fmt: skip
            camera = gr.Textbox(
                label="Their camera, if all come from one", placeholder="as their names say", max_lines=1,
                elem_id="import-camera",
            )  # fmt: skip
        with gr.Row(elem_classes="cr-row"):
            start = gr.Button("Import", variant="primary", elem_id="import", visible=may_import_paths)
            upload = gr.UploadButton("Upload a zip", file_types=[".zip"], elem_id="import-zip")
            halt = gr.Button("Stop import", elem_id="import-stop")
        report = gr.HTML("", elem_id="import-report")
        cameras = gr.HTML("", elem_id="gallery-cameras")

    def from_path(text: str, camera: str) -> Iterator[tuple[Any, Any, Any]]:
        if not may_import_paths:
            raise gr.Error("Folders of the server cannot be imported from here; upload a zip.")
        if not text.strip():
            yield _note("Name a folder, a zip or a CSV manifest first."), gr.skip(), gr.skip()
            return
        yield from run(Path(text.strip()).expanduser(), camera)

    def from_zip(file: str | None, camera: str) -> Iterator[tuple[Any, Any, Any]]:
        if file:
            _, paths = desk.uploads.files_of({"files": [file]})
            yield from run(paths[0], camera)

    def run(source: Path, camera: str) -> Iterator[tuple[Any, Any, Any]]:
        stop.clear()
        found: list[ImportReport] = []

        def work(tell: Any) -> None:
            found.append(
                import_crops(
                    store, desk.engine.encoder, source, camera=camera.strip() or None,
                    progress=lambda done, total: tell("Importing", done, total), stop=stop.is_set,
                )
            )  # fmt: skip

        try:
            for job in Job(work).ticks():
                yield _progress(job), gr.skip(), gr.skip()
        except (ValueError, RuntimeError, OSError) as problem:
            yield _note(str(problem)), gr.skip(), gr.skip()
            return
        desk.store.refresh()
        yield report_html(found[0], stopped=stop.is_set()), stats_html(store), cameras_html(store)

    one_at_a_time: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "import", **PRIVATE}
    outputs = [report, stats, cameras]
    start.click(from_path, [path, camera], outputs, **one_at_a_time)
    path.submit(from_path, [path, camera], outputs, **one_at_a_time)
    upload.upload(from_zip, [upload, camera], outputs, **one_at_a_time)
    halt.click(stop.set, None, None, queue=False, **PRIVATE)
    return stats, cameras


def report_html(report: ImportReport, *, stopped: bool) -> str:
    """What an import did, and each picture that it refused with the reason."""
    head = (
        f"{'Stopped: ' if stopped else ''}{report.added:,} added, {report.unchanged:,} were there already, "
        f"{report.ignored:,} other files ignored, {len(report.rejected):,} rejected."
    )
    rows = "".join(
        f"<li>{escape(item.path)}: {escape(item.reason)}</li>"
        for item in report.rejected[:MOST_REJECTED_SHOWN]
    )
    rest = len(report.rejected) - MOST_REJECTED_SHOWN
    more = f"<li>and {rest:,} more</li>" if rest > 0 else ""
    return _note(head) + (f'<ul class="cr-note">{rows}{more}</ul>' if rows else "")


def stats_html(store: GalleryStore) -> str:
    """Crops, cameras, days and the encoder, as a row of figures."""
    span = store.time_span()
    when = (
        " to ".join(dict.fromkeys(f"{moment.astimezone(store.zone):%d %b %Y}" for moment in span))
        if span
        else "–"
    )
    encoder = store.encoder()
    figures = {
        "Crops": f"{store.count():,}",
        "Cameras": f"{len(store.cameras())}",
        "Days": when,
        "Time zone": str(store.zone),
        "Indexed by": encoder[0] if encoder else "–",
    }
    rows = "".join(f"<div><dt>{title}</dt><dd>{escape(text)}</dd></div>" for title, text in figures.items())
    return f'<dl class="cr-stats">{rows}</dl>'


def cameras_html(store: GalleryStore) -> str:
    """Three crops of each camera, spread over its time."""
    figures = []
    for camera in store.cameras():
        ids = store.matching(Filters(cameras=(camera,)))
        if not len(ids):
            continue
        picked = ids[np.unique(np.linspace(0, len(ids) - 1, 3).round().astype(int))]
        pictures = "".join(
            f'<img src="{thumbnail_url(crop)}" alt="" loading="lazy">'
            for crop in store.crops(picked.tolist())
        )
        name = escape(camera_name(camera).capitalize())
        figures.append(
            f"<figure><div>{pictures}</div><figcaption>{name}, {len(ids):,} crops</figcaption></figure>"
        )
    return f'<div class="cr-cameras">{"".join(figures)}</div>'


def _progress(job: Job) -> str:
    if not job.total:
        return '<div class="cr-working" role="status"><progress></progress> Reading what is there</div>'
    return (
        f'<div class="cr-working" role="status"><progress max="{job.total}" value="{job.done}"></progress> '
        f"{job.done:,} of {job.total:,} pictures</div>"
    )


def _note(text: str) -> str:
    return f'<p class="cr-note" role="status">{escape(text)}</p>'
