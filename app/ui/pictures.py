"""The routes by which the page fetches pictures of crops: for whoever may use the app, and no other file."""

from __future__ import annotations

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from app.ui.guard import is_logged_in
from gallery_store.errors import GalleryError
from gallery_store.shown import LARGE_THUMBNAIL, original, small_copy
from gallery_store.store import GalleryStore

_KEPT = {"Cache-Control": "private, max-age=86400, immutable"}  # the address has the digest


def picture_routes(store: GalleryStore) -> list[Route]:
    """/crops/<id>.jpg, its thumbnail; /crops/<id>-large.jpg, one of twice the size; /originals/<id>."""

    def thumbnail(crop_id: int) -> Response:
        return FileResponse(store.thumbnail(crop_id), media_type="image/jpeg", headers=_KEPT)

    def large(crop_id: int) -> Response:
        copy = small_copy(store.crops([crop_id])[0], LARGE_THUMBNAIL, max_pixels=store.max_pixels)
        return Response(copy, media_type="image/jpeg", headers=_KEPT)

    def whole(crop_id: int) -> Response:
        data, media_type = original(store.crops([crop_id])[0], max_pixels=store.max_pixels)
        return Response(data, media_type=media_type, headers=_KEPT)

    return [
        _route("/crops/{crop_id:int}.jpg", thumbnail),
        _route("/crops/{crop_id:int}-large.jpg", large),
        _route("/originals/{crop_id:int}", whole),
    ]


def _route(path: str, picture: Callable[[int], Response]) -> Route:
    async def serve(request: Request) -> Response:
        if not is_logged_in(request):
            return PlainTextResponse("Please log in.", status_code=401)
        try:
            return await run_in_threadpool(picture, request.path_params["crop_id"])
        except (KeyError, OSError, ValueError, OverflowError):
            return PlainTextResponse("There is no such crop.", status_code=404)
        except GalleryError as problem:  # the picture is gone or damaged, or the gallery itself
            return PlainTextResponse(f"It cannot be shown: {problem}.", 404, {"Cache-Control": "no-store"})

    return Route(path, serve)
