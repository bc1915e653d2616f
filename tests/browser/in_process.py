"""An app in the test's own process, so that the test can hold its searches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.retrieval.engine import Engine
from app.retrieval.query import RetrievalError
from app.service import ChatService
from app.settings import DEMO_CLIP, DEMO_GALLERY, Settings
from app.startup import open_uploads, uploads_folder
from app.ui.server import serve
from app.uploads import Uploads
from gallery_store.encoder import ClipEncoder
from gallery_store.importer import import_crops
from gallery_store.store import GalleryStore
from tests.serving import Served, free_port


@contextmanager
def served_here(settings: Settings, service: ChatService, uploads: Uploads, folder: Path) -> Iterator[Served]:
    """The app of this service, ready."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("app.ui.server.remark", lambda words: None)
        patched.setenv("GRADIO_TEMP_DIR", str(uploads.folder))
        threading.Thread(target=serve, args=(settings, service, uploads), daemon=True).start()
        url = f"http://127.0.0.1:{settings.port}/"
        for _ in range(600):
            try:
                if httpx.get(url).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        yield Served(url, folder, 0.0, folder / "app.log")


class Gate:
    """Searches wait before it while it is closed; they fail with the sentence `fail`, if there is one."""

    fail = ""

    def __init__(self) -> None:
        self.is_open = threading.Event()
        self.is_open.set()

    def close(self) -> None:
        self.is_open.clear()

    def open(self) -> None:
        self.is_open.set()


@contextmanager
def gated_app(
    folder: Path, *, needs_reason: bool = False, login: str = "", edit: Callable[[str], str] = str
) -> Iterator[tuple[Served, Gate]]:
    """An app over forty of the demo's crops, CLIP alone, whose searches a gate holds. login: as the setting.
    edit: of the manifest's rows.
    """
    (folder / "crops").mkdir()
    head, *rows = (DEMO_GALLERY / "manifest.csv").read_text("utf-8").splitlines()
    (folder / "crops" / "manifest.csv").write_text("\n".join([head, *map(edit, rows[:40])]), "utf-8")
    for row in rows[:40]:
        name = row.split(",")[0]
        (folder / "crops" / name).symlink_to(DEMO_GALLERY / name)
    chosen = Settings(port=free_port(), data=str(folder / "data"), login=login)
    gate, encoder = Gate(), ClipEncoder.load(DEMO_CLIP)
    with GalleryStore.open(folder / "gallery.db") as store, pytest.MonkeyPatch.context() as patched:
        patched.setenv("GRADIO_TEMP_DIR", str(uploads_folder(chosen)))  # as `prepare` does
        import_crops(store, encoder, folder / "crops")
        engine, uploads = Engine(store, encoder, None), open_uploads(chosen)
        search = engine.search

        def held(query, **rest):  # type: ignore[no-untyped-def]
            while not gate.is_open.wait(0.05) and not rest["stop"]():
                pass
            if gate.fail:
                raise RetrievalError(gate.fail)
            return search(query, **rest)

        engine.search = held  # type: ignore[method-assign]
        service = ChatService(engine, uploads, needs_reason=needs_reason, users=chosen.users)
        with served_here(chosen, service, uploads, folder) as served:
            yield served, gate
