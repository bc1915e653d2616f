"""The web server around the screen: who may come in, what may be fetched, what a browser may load."""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.service import ChatService
from app.settings import ROOT, Settings
from app.ui.html import PAGE
from app.ui.screen import build_screen
from app.uploads import Uploads
from gallery_store.console import remark
from gallery_store.errors import GalleryError
from gallery_store.reid_encoder import files_of
from gallery_store.store import GalleryStore

# Nothing is loaded from elsewhere. Gradio itself needs inline scripts and eval.
_HEADERS = (
    (b"content-security-policy",
     b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
     b"frame-ancestors 'self'; form-action 'self'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
)  # fmt: skip


class Guard:
    """ASGI middleware: no foreign Host on a local server, nothing fetched from others, safe headers."""

    def __init__(self, app: ASGIApp, *, local_only: bool) -> None:
        self.app = app
        self.local_only = local_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal:
            await PlainTextResponse(refusal, status_code=403)(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        await self.app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> str:
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        # A page elsewhere may point its own name at 127.0.0.1; its Host gives it away.
        if (
            self.local_only
            and name not in ("127.0.0.1", "localhost", "[::1]")
            and not name.startswith("127.")
        ):
            return "This server answers to this machine's own names only."
        path = scope["path"]
        if "/file=http:" in path or "/file=https:" in path or "/proxy=" in path:
            return "This server fetches nothing from elsewhere."
        return ""


def thumbnail_route(store: GalleryStore) -> Route:
    """/crops/<id>.jpg: a crop's thumbnail, for whoever may use the app; no other picture is served."""

    async def thumbnail(request: Request) -> Response:
        if not _is_allowed(request):
            return PlainTextResponse("Please log in.", status_code=401)
        try:
            file = await run_in_threadpool(store.thumbnail, request.path_params["crop_id"])
        except (KeyError, OSError, ValueError, OverflowError):
            return PlainTextResponse("There is no such crop.", status_code=404)
        except GalleryError as problem:  # the picture is gone or damaged, or the gallery itself
            return PlainTextResponse(f"It cannot be shown: {problem}.", 404, {"Cache-Control": "no-store"})
        return FileResponse(
            file, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=86400, immutable"}
        )

    return Route("/crops/{crop_id:int}.jpg", thumbnail)


def _is_allowed(request: Request) -> bool:
    app: Any = request.app
    if app.auth is None:
        return True
    cookies = (f"access-token-{app.cookie_id}", f"access-token-unsecure-{app.cookie_id}")
    return any(app.tokens.get(request.cookies.get(cookie)) for cookie in cookies)


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


def serve(settings: Settings, service: ChatService, uploads: Uploads) -> None:
    """Build the screen and serve it until interrupted. The port answers from here on."""
    store = service.store
    blocks = build_screen(service, uploads, may_import_paths=settings.is_local)
    users = settings.users
    blocks.launch(
        server_name=settings.host,
        server_port=settings.port,
        auth=check_login(users) if users else None,
        max_file_size=settings.max_upload_mb << 20,
        allowed_paths=[],
        blocked_paths=_never_served(settings),
        app_kwargs={
            "routes": [thumbnail_route(store)],
            "middleware": [Middleware(Guard, local_only=settings.is_local)],
            "docs_url": None,
            "redoc_url": None,
            "openapi_url": None,
        },
        theme=theme(),
        css_paths=[PAGE / "style.css"],
        js=(PAGE / "page.js").read_text(encoding="utf-8"),
        favicon_path=PAGE / "icon.svg",
        inbrowser=settings.browser,
        share=False,
        run_history=False,
        enable_monitoring=False,
        footer_links=[],
        ssr_mode=False,
        show_error=False,
        quiet=True,
        prevent_thread_lock=True,
    )
    remark(f"ChatReID is ready on http://{settings.host}:{settings.port} ({store.count():,} crops)")
    blocks.block_thread()


def _never_served(settings: Settings) -> list[str]:
    """Weights, demo crops and the gallery. Nothing of them is allowed anyway; this says it a second time."""
    paths = [ROOT / "assets", Path(settings.model), Path(settings.clip)]
    paths += files_of(settings.reid) if settings.reid else ()
    if "://" not in settings.gallery_location:
        gallery = Path(settings.gallery_location)
        paths += [gallery, *gallery.parent.glob("*.media"), *gallery.parent.glob("*.thumbs")]
    return [str(path.resolve()) for path in paths if path.exists()]
