"""The Gallery tab: whose import it is, and who stops it."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from app.service import ChatService
from app.ui import gallery_tab
from app.ui.guard import Owner
from gallery_store.importer import ImportReport

FOLDER_FORM = ("import-path", "import", "import-note")


class Import:
    """Stands for import_crops: begins, and ends when its stop says so or it is let go."""

    def __init__(self) -> None:
        self.begun, self.let_go = threading.Event(), threading.Event()

    def __call__(self, *_: Any, stop: Any, **__: Any) -> ImportReport:
        self.begun.set()
        while not (stop() or self.let_go.wait(0.01)):
            pass
        return ImportReport(1, 0, 0, (), stopped=stop())


@pytest.fixture
def tab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The tab's handlers by name, its owner, and the import that they begin."""
    store = SimpleNamespace(refresh=lambda: None, read_only=True)
    engine = SimpleNamespace(store=store, encoder=None, reid=None, model=None)
    uploads = SimpleNamespace(files_of=lambda message: ("", [Path(message["files"][0])]))
    monkeypatch.setattr(gallery_tab, "stats_html", lambda store: "")
    monkeypatch.setattr(gallery_tab, "cameras_html", lambda store: "")
    monkeypatch.setattr(gallery_tab, "header_html", lambda engine: "")
    monkeypatch.setattr(gallery_tab, "filters_html", lambda session: "")
    monkeypatch.setattr(gallery_tab.imports_list.Imports, "html", lambda *_: "")
    began = Import()
    monkeypatch.setattr(gallery_tab, "import_crops", began)
    owner = Owner(7860)
    with gr.Blocks() as blocks:
        _, fill = gallery_tab.build(ChatService(engine), uploads, owner, gr.HTML(), gr.HTML())  # type: ignore[arg-type]
    handlers = {function.fn.__name__: function.fn for function in blocks.fns.values() if function.fn}
    return SimpleNamespace(**handlers, owner=owner, work=began, fill=fill)


def asked_by(user: str, tab_hash: str, **cookies: str) -> Any:
    return SimpleNamespace(username=user, session_hash=tab_hash, query_params={}, cookies=cookies)


def said(updates: list[dict[Any, Any]]) -> str:
    return next(iter(updates[-1].values()))


@pytest.mark.parametrize("other", [("bob", "b"), ("ann", "other tab"), ("bob", "a")])
def test_only_whoever_began_an_import_stops_it(tab: SimpleNamespace, other: tuple[str, str]) -> None:
    updates: list[dict[Any, Any]] = []
    ann = asked_by("ann", "a")
    thread = threading.Thread(target=lambda: updates.extend(tab.from_zip("crops.zip", "", "", ann)))
    thread.start()
    assert tab.work.begun.wait(60)
    tab.halt_own(asked_by(*other))
    thread.join(0.3)
    assert thread.is_alive()
    tab.halt_own(ann)
    thread.join(60)
    assert not thread.is_alive() and said(updates).count("Stopped: 1 added") == 1


def test_a_stop_with_nothing_to_stop_does_not_end_the_next_import(tab: SimpleNamespace) -> None:
    ann = asked_by("ann", "a")
    tab.halt_own(ann)
    tab.work.let_go.set()
    assert "Stopped" not in said(list(tab.from_zip("crops.zip", "", "", ann)))


def test_a_folder_is_for_the_owner(tab: SimpleNamespace) -> None:
    tab.work.let_go.set()
    stranger, owner = asked_by("local", "a"), asked_by("local", "a", **{tab.owner.cookie: tab.owner.key})
    with pytest.raises(gr.Error, match="whoever started ChatReID"):
        list(tab.from_path("/etc", "", "", stranger))
    assert not tab.work.begun.is_set()
    assert "1 added" in said(list(tab.from_path("/somewhere", "", "", owner)))
    for request, folders in ((stranger, False), (owner, True)):
        visible = {
            part.elem_id: update.visible
            for part, update in tab.fill(request).items()
            if part.elem_id in FOLDER_FORM
        }
        assert visible == {"import-path": folders, "import": folders, "import-note": not folders}
