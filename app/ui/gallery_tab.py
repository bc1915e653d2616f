"""The Gallery tab: what is in the gallery, and bringing more into it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import gradio as gr
import numpy as np

from app.cards import thumbnail_url
from app.retrieval.engine import Engine
from app.ui.background import BackgroundWork
from app.ui.edge import PRIVATE, refusal_as_error
from app.ui.html import render
from app.uploads import Uploads
from gallery_store.console import StepProgress
from gallery_store.crops import Filters
from gallery_store.errors import GalleryError
from gallery_store.importer import ImportReport, import_crops
from gallery_store.schema import Role
from gallery_store.store import GalleryStore

MOST_REJECTED_SHOWN = 20


def build(engine: Engine, uploads: Uploads, *, may_import_paths: bool) -> tuple[gr.HTML, gr.HTML]:
    """The tab's components and events; returns those that the page fills when it is loaded.

    may_import_paths: False where others than this machine's user may log in.
    """
    store = engine.store
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

    def from_path(text: str, camera: str) -> Iterator[dict[Any, str]]:
        if not may_import_paths:
            raise gr.Error("Folders of the server cannot be imported from here; upload a zip.")
        if not text.strip():
            yield {report: report_html("Name a folder, a zip or a CSV manifest first.")}
            return
        yield from run(Path(text.strip()).expanduser(), camera)

    def from_zip(file: str | None, camera: str) -> Iterator[dict[Any, str]]:
        if file:
            with refusal_as_error():
                _, paths = uploads.files_of({"files": [file]})
            yield from run(paths[0], camera)

    def run(source: Path, camera: str) -> Iterator[dict[Any, str]]:
        stop.clear()
        reports: list[ImportReport] = []

        def do(progress: StepProgress) -> None:
            reports.append(
                import_crops(
                    store, engine.encoder, source, reid=engine.reid, camera=camera.strip() or None,
                    progress=lambda done, total: progress("Importing", done, total), stop=stop.is_set,
                )
            )  # fmt: skip

        try:
            for work in BackgroundWork(do).ticks():
                yield {report: render("import_progress", done=work.done, total=work.total)}
            store.refresh()
        except (ValueError, RuntimeError, OSError) as problem:
            yield {report: report_html(str(problem))}
            return
        yield {
            report: import_html(reports[0], stopped=stop.is_set()),
            stats: stats_html(store),
            cameras: cameras_html(store),
        }

    one_at_a_time: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "import", **PRIVATE}
    outputs = [report, stats, cameras]
    start.click(from_path, [path, camera], outputs, **one_at_a_time)
    path.submit(from_path, [path, camera], outputs, **one_at_a_time)
    upload.upload(from_zip, [upload, camera], outputs, **one_at_a_time)
    halt.click(stop.set, None, None, queue=False, **PRIVATE)
    return stats, cameras


def report_html(sentence: str) -> str:
    """One sentence below the form."""
    return render("import_report", sentence=sentence, rejected=(), unlisted=0)


def import_html(report: ImportReport, *, stopped: bool) -> str:
    """What an import did, and each picture that it refused with the reason."""
    sentence = (
        f"{'Stopped: ' if stopped else ''}{report.in_words()}, "
        f"{report.ignored:,} other files ignored, {len(report.rejected):,} rejected."
    )
    listed = report.rejected[:MOST_REJECTED_SHOWN]
    unlisted = len(report.rejected) - len(listed)
    return render("import_report", sentence=sentence, rejected=listed, unlisted=unlisted)


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
