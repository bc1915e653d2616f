"""The list of imports in the Gallery tab, and taking one of them back as a whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.refused import Refused
from app.service import ChatService
from app.ui.edge import PRIVATE, user_of
from app.ui.guard import Owner
from app.ui.html import PAGE, render
from gallery_store.errors import GalleryError
from gallery_store.imports import (
    ImportBatch,
    Undoing,
    import_numbered,
    imports_of,
    undo_import,
    what_undoing_takes,
)

MOST_SHOWN = 30


@dataclass(frozen=True)
class Asked:
    """An import that somebody wants to undo, and what would go with it."""

    number: int
    crops: int
    sentences: tuple[str, ...]


class Imports:
    """owner: sees where each import came from, and may undo all; others may undo their own."""

    def __init__(self, service: ChatService, owner: Owner) -> None:
        self.service, self.owner = service, owner

    def html(self, request: gr.Request, asked: Asked | None = None, said: str = "") -> str:
        """The list; nothing where there is none. asked: what is to be confirmed. said: what was done, or not."""
        store, is_owner = self.service.store, self.owner.sent(request)
        try:
            listed = imports_of(store, MOST_SHOWN)
        except GalleryError as problem:
            return render("import_report", sentence=f"{problem}.", notes=(), rejected=(), unlisted=0)
        return render(
            "imports",
            imports=listed,
            is_owner=is_owner,
            may_undo=[batch.id for batch in listed if not store.read_only and self._may_undo(batch, request)],
            asked=asked,
            said=said,
            zone=store.zone,
        )

    def ask(self, event: gr.EventData, request: gr.Request) -> str:
        """What undoing would take, to be confirmed."""
        try:
            batch = self._named(event, request)
            takes = what_undoing_takes(self.service.store, batch)
        except (GalleryError, Refused) as problem:
            return self.html(request, said=f"{str(problem).rstrip('.')}.")
        return self.html(request, Asked(batch.id, takes.crops, tuple(takes.in_words())))

    def undo(self, event: gr.EventData, request: gr.Request) -> str:
        """It was confirmed."""
        try:
            batch = self._named(event, request)
            done = undo_import(self.service.store, batch.id, user_of(request))
        except (GalleryError, Refused) as problem:
            return self.html(request, said=f"{str(problem).rstrip('.')}.")
        return self.html(request, said=undone_in_words(batch, done))

    def _named(self, event: gr.EventData, request: gr.Request) -> ImportBatch:
        number = event._data.get("number")
        if isinstance(number, bool) or not isinstance(number, int):
            raise Refused("Which import is meant was not understood.")
        batch = import_numbered(self.service.store, number)
        if not self._may_undo(batch, request):
            raise Refused("An import is undone by whoever made it, or by whoever started ChatReID.")
        return batch

    def _may_undo(self, batch: ImportBatch, request: gr.Request) -> bool:
        return self.owner.sent(request) or (bool(batch.user) and batch.user == user_of(request))


def undone_in_words(batch: ImportBatch, done: Undoing) -> str:
    """ "Import 3 is undone: 40 crops removed. ..."."""
    said = f"Import {batch.id} is undone: {done.crops:,} crops removed."
    if done.changed:
        said += f" {done.changed:,} that were there before, and were completed or corrected by it, stay as they are."
    return said


def build(
    service: ChatService, owner: Owner, refreshed: list[Any], refresh: Callable[[gr.Request], dict[Any, Any]]
) -> tuple[gr.HTML, Imports]:
    """The list and its events. refreshed: components that change with the gallery; refresh: what they show then."""
    imports = Imports(service, owner)
    script = (PAGE / "imports.js").read_text(encoding="utf-8")
    listed = gr.HTML("", elem_id="gallery-imports", js_on_load=script)

    def undo(event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        return {listed: imports.undo(event, request), **refresh(request)}

    def keep(request: gr.Request) -> str:
        return imports.html(request)

    listed.ask_undo(imports.ask, None, listed, **PRIVATE)
    listed.keep(keep, None, listed, **PRIVATE)
    listed.undo_import(
        undo, None, [listed, *refreshed], concurrency_id="import", concurrency_limit=1, **PRIVATE
    )
    return listed, imports
