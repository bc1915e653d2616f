"""Who may come in: names and pages that look like this machine's and are not, and requests without end."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from app.ui.guard import MOST_AT_ONCE, MOST_BODY, MOST_FILES, Guard, Owner, guarded, is_own_name

HERE = "127.0.0.1:7860"


def site(**bounds: Any) -> TestClient:
    """An app that answers every path with "in", with Gradio's own CORS layer inside the guard."""
    from gradio.route_utils import CustomCORSMiddleware

    bounds = {"local_only": True, **bounds}
    app = FastAPI(lifespan=guarded(**bounds))
    app.auth = None  # type: ignore[attr-defined]
    app.add_middleware(CustomCORSMiddleware)

    @app.api_route("/{path:path}", methods=["GET", "POST", "OPTIONS"])
    async def answer(request: Request) -> dict[str, Any]:
        return {"path": request.url.path, "bytes": len(await request.body())}

    return TestClient(app, base_url=f"http://{HERE}", follow_redirects=False)


@pytest.fixture
def local() -> Any:
    with site() as client:
        yield client


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:7860", "localhost:1", "[::1]:7860", "127.8.9.1", "LOCALHOST"]
)
def test_this_machines_own_names_come_in(local: TestClient, host: str) -> None:
    assert local.get("/config", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "127.evil.example", "127.0.0.1.evil.example", "127.evil.example:7860", "localhost.evil.example", "evil.example",
        "127.0.0.1@evil.example", "evil.example/127.0.0.1", "[::2]", "10.0.0.1", "0.0.0.0", "", "127.0.0.1:x", "[::1",
    ],
)  # fmt: skip
def test_a_name_that_only_looks_like_this_machine_is_refused(local: TestClient, host: str) -> None:
    answer = local.get("/config", headers={"Host": host})
    assert answer.status_code == 403 and "trusted-host" in answer.text


@given(st.from_regex(r"127\.[a-z0-9.-]{1,30}", fullmatch=True))
def test_only_an_address_of_numbers_is_loopback(name: str) -> None:
    numbers = name.split(".")
    is_address = len(numbers) == 4 and all(
        n.isdigit() and int(n) < 256 and (n == "0" or n[0] != "0") for n in numbers
    )
    assert is_own_name(name) == is_address


FOREIGN = ["https://evil.example", "http://127.evil.example:7860", "http://localhost:7860", "http://127.0.0.1:3000",
           "https://127.0.0.1:7860.evil.example", "null", "https://127.0.0.1", "http://[::1]:7860"]  # fmt: skip
PATHS = ["/gradio_api/upload", "/gradio_api/queue/join", "/gradio_api/run/chat", "/gradio_api/heartbeat/x",
         "/gradio_api/queue/data", "/crops/1.jpg", "/config", "/gradio_api/cancel", "/"]  # fmt: skip


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize("path", PATHS)
def test_a_foreign_page_reads_and_changes_nothing(local: TestClient, path: str, origin: str) -> None:
    for method in ("GET", "POST"):
        answer = local.request(method, path, headers={"Origin": origin})
        assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    answer = local.options(path, headers=asked)
    assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers


def test_the_own_page_and_programs_come_in(local: TestClient) -> None:
    for headers in (
        {}, {"Origin": f"http://{HERE}"}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"},
        {"Host": "localhost:9000", "Origin": "http://localhost:9000"}, {"Host": "localhost", "Origin": "http://localhost:80"},
    ):  # fmt: skip
        assert local.post("/gradio_api/queue/join", headers=headers).status_code == 200


def test_a_foreign_page_shows_none_of_our_pictures_and_may_link_here(local: TestClient) -> None:
    foreign = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    assert local.get("/crops/1.jpg", headers=foreign).status_code == 403
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert local.get("/", headers=link).status_code == 200
    for path in ("/logout", "/gradio_api/heartbeat/x"):
        assert local.get(path, headers=link).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=http://x.example/a",
        "/gradio_api/file/http://x.example/a",
        "/gradio_api/file/https:/x.example/a",
        "/gradio_api/proxy=https://x.example",
    ],
)
def test_nothing_is_fetched_from_elsewhere(local: TestClient, path: str) -> None:
    assert local.get(path).status_code == 403


def test_a_proxy_that_keeps_its_own_name_is_trusted_by_that_name() -> None:
    with site(trusted={"reid.example.org"}) as client:
        for headers in (
            {"Host": "reid.example.org", "Origin": "https://reid.example.org"},
            {"Host": HERE, "Origin": "https://reid.example.org"},  # it sends the upstream's name instead
            {"Host": HERE, "Origin": f"http://{HERE}"},
        ):
            assert client.post("/gradio_api/queue/join", headers=headers).status_code == 200
        for headers in (
            {"Host": "other.example.org"},
            {"Host": "reid.example.org", "Origin": "https://evil.example"},
            {"Host": "reid.example.org.evil.example"},
        ):
            assert client.post("/gradio_api/queue/join", headers=headers).status_code == 403


def test_a_server_with_a_login_answers_to_any_name_but_to_no_foreign_page() -> None:
    with site(local_only=False) as client:
        assert client.get("/config", headers={"Host": "10.1.2.3"}).status_code == 200
        foreign = {"Host": "10.1.2.3", "Origin": "https://evil.example"}
        answer = client.get("/config", headers=foreign)
        assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers


def test_under_a_sub_path_with_and_without_it_in_the_request() -> None:
    with site(root_path="/reid") as client:
        assert client.get("/reid/config").json()["path"] == client.get("/config").json()["path"] == "/config"
        assert client.get("/reid").headers["location"] == "/reid/"
        assert client.get("/reids/config").json()["path"] == "/reids/config"
        assert client.get("/reid/gradio_api/file=http://x.example").status_code == 403


def test_the_owners_key_becomes_a_cookie_and_leaves_the_address() -> None:
    owner = Owner(7860)
    with site(owner=owner) as client:
        answer = client.get("/", params={"owner": owner.key})
        assert answer.status_code == 303 and answer.headers["location"] == "/"
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=strict" in cookie
        assert owner.sent(SimpleNamespace(cookies=dict(client.cookies)))
        for wrong in ("", owner.key[:-1], "é"):
            assert "set-cookie" not in client.get("/", params={"owner": wrong}).headers
    for cookies in ({}, {owner.cookie: ""}, {owner.cookie: "wrong"}, {owner.cookie: Owner(7860).key}):
        assert not owner.sent(SimpleNamespace(cookies=cookies))


def test_bodies_have_bounds_said_beforehand_or_not() -> None:
    with site(most_upload=1000) as client:
        assert client.post("/gradio_api/run/chat", content=b"x" * MOST_BODY).json()["bytes"] == MOST_BODY
        assert client.post("/gradio_api/upload", content=b"x" * 1000 * MOST_FILES).status_code == 200
        for path, size in (
            ("/gradio_api/run/chat", MOST_BODY + 1),
            ("/gradio_api/upload", 1000 * MOST_FILES + 1),
        ):
            assert client.post(path, content=b"x" * size).status_code == 413
            parts = (b"x" * 1000 for _ in range(size // 1000 + 1))  # sent in pieces, without a length
            assert client.post(path, content=parts).status_code == 413


def test_no_more_files_are_taken_than_the_folder_may_hold() -> None:
    with site(refuse_upload=lambda: "It is full.") as client:
        answer = client.post("/gradio_api/upload", content=b"x")
        assert answer.status_code == 413 and answer.text == "It is full."
        assert client.post("/gradio_api/queue/join", content=b"x").status_code == 200


def test_without_a_login_no_connection_is_kept_open() -> None:
    with site() as client:
        client.app.auth, client.app.tokens, client.app.cookie_id = object(), {}, "a"  # type: ignore[attr-defined]
        for path in ("heartbeat/x", "cancel", "reset"):
            assert client.get(f"/gradio_api/{path}").status_code == 401
        client.app.tokens["t"] = "ann"  # type: ignore[attr-defined]
        client.cookies["access-token-a"] = "t"
        assert client.get("/gradio_api/heartbeat/x").status_code == 200


def test_so_many_at_once_and_no_more() -> None:
    with ThreadPoolExecutor(1) as thread:  # the browser tests may have a loop running in this one
        thread.submit(lambda: asyncio.run(_so_many_at_once())).result()


async def _so_many_at_once() -> None:
    open_now = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await open_now.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    guard = Guard(slow, local_only=True)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url=f"http://{HERE}") as client:
        most = MOST_AT_ONCE["/gradio_api/run/"]
        calls = [asyncio.ensure_future(client.post("/gradio_api/run/chat")) for _ in range(most)]
        await asyncio.sleep(0.2)
        assert (await client.post("/gradio_api/run/chat")).status_code == 429
        open_now.set()
        assert {answer.status_code for answer in await asyncio.gather(*calls)} == {200}
        assert (await client.post("/gradio_api/run/chat")).status_code == 200
