"""The route by which the page fetches a case as a zip: made for whoever asks, and gone when it was sent."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from app.case_steps import NO_CASE
from app.export.archive import export_case, file_name
from app.refused import ReasonNeeded
from app.ui.edge import LOCAL_USER
from app.ui.guard import is_logged_in, user_of
from gallery_store.errors import GalleryError
from gallery_store.store import GalleryStore


def export_route(store: GalleryStore, key: bytes | None, *, needs_reason: bool = False) -> Route:
    """POST /cases/<id>/export: the user's own case, or one that is shared with them. key: signs its manifest; None for
    no signature. needs_reason: no case goes out without one.
    """

    async def export(request: Request) -> Response:
        if not is_logged_in(request):
            return PlainTextResponse("Please log in.", status_code=401)
        user, case = user_of(request) or LOCAL_USER, request.path_params["case"]
        folder = Path(tempfile.mkdtemp(prefix="chatreid-export-"))
        tidy = BackgroundTask(shutil.rmtree, folder, ignore_errors=True)
        file = folder / file_name(case)
        try:
            await run_in_threadpool(
                export_case, store, case, user, file, by=user, key=key, needs_reason=needs_reason
            )
        except KeyError:
            return PlainTextResponse(NO_CASE.partition(";")[0] + ".", 404, background=tidy)
        except ReasonNeeded as problem:
            return PlainTextResponse(str(problem), 409, background=tidy)
        except (GalleryError, OSError) as problem:
            words = problem.strerror if isinstance(problem, OSError) else problem
            return PlainTextResponse(f"The case cannot be exported now: {words}.", 503, background=tidy)
        return FileResponse(
            file,
            media_type="application/zip",
            filename=file.name,
            headers={"Cache-Control": "no-store"},
            background=tidy,
        )

    return Route("/cases/{case}/export", export, methods=["POST"])
