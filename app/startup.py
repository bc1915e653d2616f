"""From settings to an engine that can search: environment, port, gallery, models, demo crops.

Nothing heavy is imported before `prepare` has set the environment; each failure is one StartError.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from app.heaps import share_heaps
from app.settings import DEMO_GALLERY, RankerName, Settings
from gallery_store.console import progress_bar, remark

if TYPE_CHECKING:
    from app.retrieval.engine import Engine
    from app.retrieval.reid import Uncalibrated
    from app.uploads import Uploads
    from gallery_store.encoder import ImageEncoder
    from gallery_store.followed_index import IndexPlace
    from gallery_store.reid_encoder import ReidEncoder
    from gallery_store.store import GalleryStore

AUDIT = "audit.db"  # in the data folder: the searches of a gallery that cannot be written
PICTURES_LOOKED_AT = 1000  # at the start
MARK = "demo-import-unfinished"  # a file in the data folder while the demo crops are being imported


class StartError(RuntimeError):
    """The app cannot start; the message is one sentence that says why and what to do."""


def prepare(settings: Settings) -> None:
    """Environment, data folder and port, before Gradio and the models are imported. Raises StartError."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    # Nor does it count for its monitoring page, which is not served, the last 10,000 events anew after each.
    os.environ["GRADIO_ANALYTICS_MAX_EVENTS"] = "1"
    os.environ["GRADIO_ANALYTICS_CACHE_FREQUENCY"] = str(sys.maxsize)
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["DO_NOT_TRACK"] = "1"
    os.environ["GRADIO_TEMP_DIR"] = str(uploads_folder(settings))
    # Torch's threads would spin between two small products: with the demo models most of the processor's time.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if "MALLOC_ARENA_MAX" not in os.environ:
        share_heaps()
    if settings.is_offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    if settings.export_key_file:
        export_key(settings)  # says now what is wrong with it
    try:
        uploads_folder(settings).mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise StartError(
            f"The data folder {settings.data} cannot be written ({problem.strerror}); "
            "name another with --data."
        ) from None
    _check_port(settings)


def export_key(settings: Settings) -> bytes | None:
    """What exports are signed with; None where nothing is configured. Raises StartError."""
    from gallery_store.errors import GalleryError
    from gallery_store.sealed_zip import read_key

    try:
        return read_key(settings.export_key_file) if settings.export_key_file else None
    except GalleryError as problem:
        raise StartError(str(problem)) from None


def uploads_folder(settings: Settings) -> Path:
    return (Path(settings.data) / "uploads").resolve()


def open_uploads(settings: Settings, store: GalleryStore | None = None) -> Uploads:
    """The folder of uploaded files, with the bounds of the settings. store: photos of cases that it has no more go."""
    from app.uploads import Uploads
    from gallery_store.errors import GalleryError

    uploads = Uploads(
        uploads_folder(settings), max_bytes=settings.max_upload_mb << 20, max_pixels=settings.max_pixels
    )
    if store is not None and not store.read_only:  # such a one may be older than cases are
        with suppress(GalleryError):  # locked, or gone: the next start tidies up
            uploads.forget(store.cases.photo_names())
    return uploads


def _check_port(settings: Settings) -> None:
    """Refuse a taken port now, not after the models were loaded."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host.strip("[]"), settings.port))
        except OSError as problem:
            raise StartError(
                f"Port {settings.port} on {settings.host} cannot be listened on ({problem.strerror}); "
                "stop what uses it or give another --port."
            ) from None


def open_engine(settings: Settings) -> Engine:
    """Gallery and models, loaded and warm; the demo crops imported on the first start. Raises StartError."""
    from app.model.checkpoint import ModelError
    from gallery_store.encoder import EncoderError
    from gallery_store.store import GalleryError

    try:
        return _open(settings)
    except (GalleryError, EncoderError, ModelError) as problem:
        raise StartError(str(problem)) from problem


def _open(settings: Settings) -> Engine:
    from app.opening_models import open_clip, open_model, serve_models
    from app.retrieval.engine import Engine
    from app.retrieval.reid import uncalibrated_searches
    from gallery_store.encoder import resolve_device
    from gallery_store.reid_encoder import ReidEncoder
    from gallery_store.store import GalleryStore

    device = resolve_device(settings.device)
    index = cast("IndexPlace", settings.index)
    store = GalleryStore.open(
        settings.gallery_location, zone=settings.zone or None, index=index, pictures=settings.pictures
    )
    store.max_pixels = settings.max_pixels
    _look_at_gallery(store, Path(settings.data))
    named = [settings.clip, settings.reid, settings.model if settings.has_model else ""]
    remark(f"Loading the models ({', '.join(filter(None, named))})")
    where = serve_models(settings, device)
    encoder = open_clip(where, device)
    reid = ReidEncoder.load(settings.reid, device=device) if settings.reid else None
    model = open_model(where, device)  # says what is wrong with it before anything is imported
    if settings.is_default_gallery:
        import_demo(store, encoder, Path(settings.data), reid=reid)
    if store.count():
        store.require_encoder(encoder.name, encoder.version)
        _check_reid(store, reid)
    if model is not None and (which := uncalibrated_searches(model.manifest, encoder, reid)):
        remark(_not_calibrated(settings, which))
    ranker = cast("RankerName | None", settings.ranker or None)
    engine = Engine(store, encoder, model, reid=reid, k=settings.k, tau=settings.tau, ranker=ranker)
    remark(f"Ranked by {engine.ranker.name}." + f" {engine.ranker.note}".rstrip())
    if settings.model_reads and not engine.talks_freely:
        remark(
            f"{settings.model} cannot talk freely, so it does not read messages: --model-reads does nothing"
        )
    engine.warm_up()
    return engine


def _not_calibrated(settings: Settings, which: Uncalibrated) -> str:
    """The command fits what the words and the pictures need, whichever is missing."""
    both = f"{settings.clip} and {settings.reid}" if settings.reid else settings.clip
    fits, what = {
        "words": (settings.clip, "candidates of a search by words alone"),
        "pictures": (settings.reid, "candidates of a search with a picture"),
    }.get(which, (both, "candidates"))
    encoders = f"--clip {settings.clip}" + (f" --reid {settings.reid}" if settings.reid else "")
    return (
        f"{settings.model} is not calibrated with {fits}: its {what} have no confidence; `python -m training calibrate "
        f"--model {settings.model} {encoders} --gallery FILE` calibrates it on people whose identities are known"
    )


def _look_at_gallery(store: GalleryStore, data: Path) -> None:
    """Says what an operator must know of it: that it cannot be written, that pictures are gone."""
    if store.read_only:
        store.keep_audit_in(data / AUDIT)
        remark(
            f"The gallery {store.location} cannot be written: it is open for looking, and its searches are recorded in "
            f"{data / AUDIT}"
        )
    if store.leaves_vectors:
        by_index = all(one.is_indexed() for one in store.vectors_in_database())
        how = (
            "" if by_index else "; `python -m gallery_store search-index` makes it faster for a large gallery"
        )
        remark(f"The nearest crops are searched in the database{how}")
    if (looked_at := store.count_pictures(PICTURES_LOOKED_AT)).missing:
        remark(
            f"{looked_at.missing:,} of {looked_at.checked:,} pictures that were looked for are not there (is a folder "
            f"not mounted?): `python -m gallery_store verify --gallery {store.location}` lists them"
        )


def _check_reid(store: GalleryStore, reid: ReidEncoder | None) -> None:
    """Says which re-ID encoder prefilters, or that the gallery's own is not in use. EncoderMismatch for another."""
    if reid is not None:
        store.require_encoder(reid.name, reid.version, "reid")
        height, width = reid.size
        remark(f"Queries by picture are prefiltered by {reid.name} ({reid.version}, {height}x{width} pixels)")
    elif has := store.encoder("reid"):
        remark(f"The gallery's re-ID vectors by {has[0]} are not used: name that encoder with --reid")


def import_demo(
    store: GalleryStore,
    encoder: ImageEncoder,
    data: Path,
    source: Path = DEMO_GALLERY,
    reid: ReidEncoder | None = None,
) -> None:
    """The demo crops into an empty gallery. A start that was killed half way is completed by the next."""
    from gallery_store.importer import import_crops
    from gallery_store.ownership import left_behind

    mark = data / MARK
    if not source.is_dir() or (store.count() and not mark.exists()):
        return
    if (folder := left_behind(Path(store.location), store.media)) is not None:
        remark(
            f"The gallery {store.location} is empty and {folder} holds the pictures of an earlier one: no demo crops "
            "are put in; bring the earlier file back, or move that folder away"
        )
        return
    mark.touch()
    remark("First start: importing the demo gallery")
    began = time.perf_counter()
    report = import_crops(store, encoder, source, reid=reid, progress=progress_bar("Importing", "crops"))
    seconds = time.perf_counter() - began
    for rejected in report.rejected:
        remark(f"  not imported: {rejected.path}: {rejected.reason}")
    mark.unlink(missing_ok=True)
    remark(f"{report.added} crops imported in {seconds:.1f} s")
