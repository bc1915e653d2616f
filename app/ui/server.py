"""The web server around the screen: its routes, its login, and what is never served."""

from __future__ import annotations

import hmac
import webbrowser
from pathlib import Path
from typing import Any, NoReturn

import gradio as gr
from gradio import processing_utils

from app.heaps import keep_giving_back
from app.service import ChatService
from app.settings import ROOT, Settings
from app.startup import export_key
from app.ui.export import export_route
from app.ui.guard import FETCHES_NOTHING, MOST_AT_ONCE, Owner, guarded
from app.ui.html import PAGE
from app.ui.pictures import picture_routes
from app.ui.screen import MODEL, build_screen
from app.uploads import Uploads
from gallery_store.console import remark
from gallery_store.location import is_url
from gallery_store.reid_encoder import files_of

_FOLDERS = (".media", ".thumbs", ".cache")  # of a gallery
# Whose state Gradio keeps, of each page or client, also of those that left. As many as may be open at once;
# nothing of a conversation is in it, so a page that was let go of goes on with a new one.
MOST_PAGES = MOST_AT_ONCE["/gradio_api/heartbeat/"]
STYLES = ("style", "board", "cases", "filters", "stacks", "viewer", "cropper")


def check_login(users: dict[str, str]) -> Any:
    """A function (user, password) -> bool whose time does not depend on where they differ."""

    def check(user: str, password: str) -> bool:
        expected = users.get(user, "")
        return hmac.compare_digest(expected.encode(), password.encode()) and bool(expected)

    return check


def theme() -> gr.themes.Base:
    """System fonts only: nothing is fetched. Colours follow page/style.css."""
    return gr.themes.Base(
        primary_hue="blue",
        neutral_hue="slate",
        radius_size="md",
        text_size="md",
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )


def fetch_nothing() -> None:
    """From now on Gradio refuses, in this process, what it would fetch for whoever names an address as a file: without
    a bound, from wherever this machine can reach, and unseen by the guard, which counts uploads alone.
    """

    async def refuse(*_: Any, **__: Any) -> NoReturn:
        raise gr.Error(FETCHES_NOTHING, print_exception=False, title="Not done")

    for name in ("async_ssrf_protected_download", "async_ssrf_protected_get"):
        if not hasattr(processing_utils, name):
            raise RuntimeError(f"this version of Gradio fetches files by another way than {name}")
        setattr(processing_utils, name, refuse)


def serve(settings: Settings, service: ChatService, uploads: Uploads) -> None:
    """Build the screen and serve it until interrupted. The port answers from here on."""
    store = service.store
    fetch_nothing()
    owner = Owner(settings.port)
    blocks = build_screen(service, uploads, owner)
    users = settings.users
    blocks.launch(
        server_name=settings.host,
        server_port=settings.port,
        auth=check_login(users) if users else None,
        max_threads=2 * MODEL["concurrency_limit"],  # a step holds one until it is done
        max_file_size=settings.max_upload_mb << 20,
        state_session_capacity=MOST_PAGES,
        allowed_paths=[],
        blocked_paths=[*_never_served(settings), *map(str, (store.media, store.thumbs, store.cache))],
        app_kwargs={
            "routes": [
                *picture_routes(store),
                export_route(store, export_key(settings), needs_reason=service.needs_reason),
            ],
            "lifespan": guarded(
                local_only=settings.is_local,
                trusted=settings.trusted_hosts,
                root_path=settings.root_path,
                owner=owner,
                most_upload=uploads.max_bytes,
                refuse_upload=uploads.refuse_more,
            ),
            "docs_url": None,
            "redoc_url": None,
            "openapi_url": None,
        },
        theme=theme(),
        css_paths=[PAGE / f"{name}.css" for name in STYLES],
        js=(PAGE / "page.js").read_text(encoding="utf-8"),
        root_path=settings.root_path,
        favicon_path=PAGE / "icon.svg",
        share=False,
        run_history=False,
        enable_monitoring=False,
        footer_links=[],
        ssr_mode=False,
        show_error=False,
        quiet=True,
        prevent_thread_lock=True,
    )
    keep_giving_back()
    address = address_of(settings)
    remark(f"ChatReID is ready on {address} ({store.count():,} crops)")
    remark(f"To import folders of this machine from the page, open {address}/?owner={owner.key}")
    if settings.browser:
        webbrowser.open(f"{address}/?owner={owner.key}")
    blocks.block_thread()


def address_of(settings: Settings) -> str:
    """Where a browser on this machine finds the app."""
    host = settings.host.strip("[]")
    if host in ("0.0.0.0", "::"):
        host = "localhost"
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def _never_served(settings: Settings) -> list[str]:
    """Weights, demo crops and the gallery. Nothing of them is allowed anyway; this says it a second time."""
    paths = [ROOT / "assets", Path(settings.model), Path(settings.clip)]
    paths += files_of(settings.reid) if settings.reid else ()
    if not is_url(settings.gallery_location):
        gallery = Path(settings.gallery_location)
        paths += [gallery, *(found for end in _FOLDERS for found in gallery.parent.glob(f"*{end}"))]
    return [str(path.resolve()) for path in paths if path.exists()]
