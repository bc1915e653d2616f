"""Who may come in and what may be fetched: the server with a login, and starts that must be refused."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gradio as gr
import httpx
import pytest
from gradio import processing_utils
from gradio_client import Client
from gradio_client.exceptions import AuthenticationError
from PIL import Image

from app import startup
from app.service import ChatService
from app.session import UNDONE
from app.settings import ROOT, Settings
from app.ui.gallery_tab import NAMINGS
from app.ui.guard import FETCHES_NOTHING
from app.ui.server import address_of, check_login, serve
from gallery_store.crops import Filters
from gallery_store.encoder import ClipEncoder
from gallery_store.importer import import_crops
from gallery_store.store import GalleryStore
from tests.clip_folder import make_clip_folder
from tests.serving import Served, free_port, serving
from tests.tiny_qwen import tiny_folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip_folder(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def gallery(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six crops in colours, indexed by the small CLIP."""
    folder = tmp_path_factory.mktemp("own")
    for number, colour in enumerate(("red", "green", "blue", "white", "black", "orange"), start=1):
        Image.new("RGB", (64, 128), colour).save(folder / f"{number:04d}_c{number}s1_000001_00.png")
    with GalleryStore.open(folder / "own.db") as store:
        import_crops(store, ClipEncoder.load(clip), folder)
    return folder / "own.db"


def run_app(*argv: str, data: Path) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CHATREID_")}
    return subprocess.run(
        [sys.executable, "app.py", "--data", str(data), *argv],
        cwd=ROOT, env=environ, capture_output=True, text=True, timeout=180,
    )  # fmt: skip


@pytest.fixture(scope="module")
def locked(clip: Path, gallery: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The app over one's own gallery and a checkpoint without a manifest, with a login."""
    users = tmp_path_factory.mktemp("login") / "users"
    users.write_text("ann:correct horse\n")
    argv = (
        "--gallery",
        str(gallery),
        "--clip",
        str(clip),
        "--model",
        str(tiny_folder()),
        "--login",
        str(users),
    )
    with serving(tmp_path_factory.mktemp("locked"), *argv) as server:
        yield server


@pytest.mark.slow
def test_without_the_password_nothing_is_answered(locked: Served) -> None:
    with pytest.raises(AuthenticationError):
        Client(locked.url, verbose=False)
    with pytest.raises(ValueError, match="Could not login"):
        Client(locked.url, verbose=False, auth=("ann", "wrong"))
    for path in ("crops/1.jpg", "config", "gradio_api/info", "gradio_api/file=/etc/passwd"):
        assert httpx.get(locked.url + path).status_code == 401, path


@pytest.mark.slow
def test_with_the_password_it_is_and_the_audit_has_the_name(locked: Served, gallery: Path) -> None:
    client = Client(locked.url, verbose=False, auth=("ann", "correct horse"))
    _, candidates, status = client.predict(message={"text": "a red coat", "files": []}, api_name="/chat")
    assert len(candidates) == 6 and status["calibrated"] is False
    thumbnail = httpx.get(f"{locked.url}crops/{candidates[0]['image_id']}.jpg", cookies=client.cookies)
    assert thumbnail.status_code == 200
    client.close()
    with GalleryStore.open(gallery) as store:
        latest = store.searches(limit=1)[0]
    assert latest.user == "ann" and latest.query["wanted"] == {"upper": "coat", "upper_colour": "red"}
    assert list(latest.shown) == [candidate["image_id"] for candidate in candidates]


@pytest.mark.slow
def test_the_page_says_that_the_checkpoint_is_uncalibrated(locked: Served) -> None:
    client = Client(locked.url, verbose=False, auth=("ann", "correct horse"))
    page = httpx.get(locked.url, cookies=client.cookies).text
    client.close()
    assert "Uncalibrated checkpoint" in page and str(tiny_folder().parent) not in page


USUAL = next(iter(NAMINGS))  # how the folder names its pictures


def call(server: Served, api: str, data: list[object], **headers: str) -> httpx.Response:
    """The first function of the page with these inputs, called as a script would, round the queue."""
    config = httpx.get(f"{server.url}config").json()
    inputs = {part["id"]: part["props"].get("elem_id") for part in config["components"]}
    number = next(
        function["id"]
        for function in config["dependencies"]
        if [inputs[part] for part in function["inputs"]][:1] == [api] and len(function["inputs"]) == len(data)
    )
    body = {"fn_index": number, "data": data, "session_hash": "script"}
    return httpx.post(f"{server.url}gradio_api/run/page", json=body, headers=headers, timeout=60)


@pytest.mark.slow
def test_a_folder_is_imported_by_the_owner_alone_however_local_the_caller(
    clip: Path, tmp_path: Path, gallery: Path
) -> None:
    crops = tmp_path / "private"
    crops.mkdir()
    Image.new("RGB", (64, 128), "purple").save(crops / "a.png")
    argv = (
        "--gallery",
        str(tmp_path / "own.db"),
        "--clip",
        str(clip),
        "--model",
        "none",
        "--root-path",
        "/reid",
    )
    with serving(tmp_path / "data", *argv) as server:
        with GalleryStore.open(tmp_path / "own.db") as store:
            assert "key" in call(server, "import-path", [str(crops), "", USUAL]).text and store.count() == 0
            forged = {"Cookie": f"chatreid-owner-{server.url.split(':')[-1].strip('/')}=guess"}
            call(server, "import-path", [str(crops), "", USUAL], **forged)
            assert store.count() == 0
            entered = httpx.get(server.owner_url)
            cookie = entered.headers["set-cookie"].split(";")[0]
            call(server, "import-path", [str(crops), "", USUAL], Cookie=cookie)
            assert store.count() == 1
        # Under its sub-path, whether the proxy takes that away or not.
        assert entered.headers["location"] == "/reid/"
        for url in (server.url, f"{server.url}reid/"):
            assert httpx.get(f"{url}crops/1.jpg").status_code == 200
            client = Client(url, verbose=False)
            assert client.predict(message={"text": "only camera 1", "files": []}, api_name="/chat")
            client.close()
        foreign = {"Origin": "https://evil.example"}
        picture = {"files": ("a.png", (crops / "a.png").read_bytes())}
        assert httpx.post(f"{server.url}gradio_api/upload", files=picture, headers=foreign).status_code == 403
        assert httpx.post(f"{server.url}gradio_api/upload", files=picture).status_code == 200


def test_the_login_takes_the_right_password_alone() -> None:
    check = check_login({"ann": "correct", "umlaut": "pässword"})
    assert check("ann", "correct") and check("umlaut", "pässword")
    for user, password in (("ann", "Correct"), ("ann", ""), ("bob", ""), ("bob", "correct"), ("", "")):
        assert not check(user, password)


@pytest.mark.parametrize(
    "host, address",
    [("127.0.0.1", "http://127.0.0.1:80"), ("::1", "http://[::1]:80"), ("[::1]", "http://[::1]:80"),
     ("0.0.0.0", "http://localhost:80"), ("::", "http://localhost:80"), ("example.org", "http://example.org:80")],
)  # fmt: skip
def test_the_address_that_is_printed_can_be_opened(host: str, address: str) -> None:
    assert address_of(Settings(host=host, port=80, login="ann:secret")) == address


def test_a_port_in_use_is_one_sentence_and_exit_2(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = run_app("--port", str(port), data=tmp_path)
    assert ended.returncode == 2 and f"Port {port}" in ended.stderr and ended.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "argv, words",
    [
        (["--gallery", "{text}"], "chatreid: "),
        (["--clip", "{empty}"], "chatreid: "),
        (["--gallery", "{gallery}", "--clip", "{other}"], "reindex"),
        (["--gallery", "{gallery}", "--clip", "{clip}", "--model", "{empty}"], "chatreid: "),
        (["--gallery", "{gallery}", "--clip", "{clip}", "--model", "{unknown}"], "chatreid.json"),
    ],
)
def test_what_cannot_be_used_is_named_and_exit_2(
    clip: Path, gallery: Path, tmp_path: Path, argv: list[str], words: str
) -> None:
    paths = {"clip": clip, "gallery": gallery, "text": tmp_path / "text.db", "empty": tmp_path / "empty"}
    paths["text"].write_text("this is no database, only a text that is long enough to be read as one" * 20)
    paths["empty"].mkdir()
    if "{other}" in argv:
        paths["other"] = make_clip_folder(tmp_path / "other", seed=1)
    if "{unknown}" in argv:
        paths["unknown"] = tmp_path / "unknown"
        paths["unknown"].mkdir()
        for file in tiny_folder().iterdir():
            (paths["unknown"] / file.name).symlink_to(file)
        (paths["unknown"] / "chatreid.json").write_text('{"schema": 99}')
    filled = [word.format(**paths) for word in argv]
    ended = run_app("--port", str(free_port()), *filled, data=tmp_path / "data")
    last = ended.stderr.strip().splitlines()[-1]
    assert ended.returncode == 2 and last.startswith("chatreid: ") and words in last
    assert "Traceback" not in ended.stderr


def test_a_first_start_that_was_killed_is_completed_by_the_next(clip: Path, tmp_path: Path) -> None:
    source = tmp_path / "crops"
    source.mkdir()
    for number in range(5):
        Image.new("RGB", (32, 64), (number * 40, 90, 30)).save(source / f"{number}.png")
    encoder, data = ClipEncoder.load(clip), tmp_path / "data"
    data.mkdir()
    with GalleryStore.open(data / "gallery.db") as store:
        import_crops(store, encoder, source / "0.png")  # as far as it came
        (data / startup.MARK).touch()
        startup.import_demo(store, encoder, data, source)
        assert store.count() == 5 and not (data / startup.MARK).exists()
        store.delete(store.matching(Filters())[:1].tolist())
        startup.import_demo(store, encoder, data, source)
        assert store.count() == 4  # a crop that was deleted does not come back


def test_the_environment_keeps_everything_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GRADIO_ANALYTICS_ENABLED", "HF_HUB_OFFLINE", "GRADIO_TEMP_DIR", "HF_HUB_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "")
    (tmp_path / "model").mkdir()
    folder = str(tmp_path / "model")
    startup.prepare(Settings(data=str(tmp_path / "data"), port=free_port(), model=folder, clip=folder))
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False" and os.environ["HF_HUB_OFFLINE"] == "1"
    assert os.environ["GRADIO_TEMP_DIR"] == str(tmp_path / "data" / "uploads")
    assert (tmp_path / "data" / "uploads").is_dir()


@contextmanager
def served_here(
    clip: Path, gallery: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[gr.Blocks, str]]:
    """The screen as `serve` serves it in this process, and its address."""
    screens: list[gr.Blocks] = []
    monkeypatch.setattr(os, "environ", dict(os.environ))  # `prepare` writes to it
    monkeypatch.setattr(gr.Blocks, "block_thread", lambda screen: screens.append(screen))
    for name in ("async_ssrf_protected_download", "async_ssrf_protected_get"):  # given back after the test
        monkeypatch.setattr(processing_utils, name, getattr(processing_utils, name))
    settings = Settings(
        data=str(data), gallery=str(gallery), clip=str(clip), model="none", port=free_port(), device="cpu"
    )
    startup.prepare(settings)
    engine = startup.open_engine(settings)
    uploads = startup.open_uploads(settings, engine.store)
    serve(settings, ChatService(engine, uploads), uploads)
    (screen,) = screens
    try:
        yield screen, address_of(settings)
    finally:
        screen.close()
        engine.store.close()


def test_gradio_lets_go_of_pages_that_left(
    clip: Path, gallery: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would keep 10,000; and a page that it let go of has its conversation still."""
    monkeypatch.setattr("app.ui.server.MOST_PAGES", 3)
    with served_here(clip, gallery, tmp_path, monkeypatch) as (screen, address):
        clients = [Client(address, verbose=False) for _ in range(6)]
        clients[0].predict({"text": "somebody in red", "files": []}, api_name="/chat")
        for client in clients[1:]:
            client.predict(api_name="/cases")
        kept = screen.state_holder.session_data
        assert len(kept) == 3 and clients[0].session_hash not in kept
        assert len(screen._queue.event_analytics) == 1 and screen._queue.events_recorded == 6
        assert screen._queue.event_count_at_last_cache == 0
        reply, _, _ = clients[0].predict(api_name="/undo")
        assert UNDONE in reply
        for client in clients:
            client.close()


def test_no_file_of_a_message_is_fetched_from_elsewhere(
    clip: Path, gallery: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither for the page nor for a program, nor as the photo or the zip of a button."""
    fetched: list[str] = []

    async def fetch(url: str, **_: object) -> httpx.Response:
        fetched.append(url)
        return httpx.Response(200, content=b"x" * 100)

    monkeypatch.setattr(processing_utils.sh, "get", fetch)
    given = {"path": "http://x.example/big.jpg", "meta": {"_type": "gradio.FileData"}}
    message = {"text": "", "files": [given]}
    with served_here(clip, gallery, tmp_path, monkeypatch) as (screen, url):
        inputs = {
            (part.elem_id, len(function.inputs)): number
            for number, function in screen.fns.items()
            for part in function.inputs[:1]
        }
        for name, body in (
            ("chat", {"data": [message]}),
            ("page", {"fn_index": inputs["message", 1], "data": [message]}),
            ("page", {"fn_index": inputs["crop-photo", 1], "data": [given]}),
            ("page", {"fn_index": inputs["import-zip", 3], "data": [given, "", USUAL]}),
        ):
            asked = httpx.post(
                f"{url}/gradio_api/run/{name}", json=body | {"session_hash": "script"}, timeout=60
            )
            assert FETCHES_NOTHING in asked.text and asked.status_code == 500, asked.text
    assert fetched == [] and not list((tmp_path / "uploads").rglob("*"))
