"""Who may come in: the names this server answers to, the pages that may call it, and how much they may send.

Guard stands around all that Gradio serves, uploads, queue, event streams and heartbeats among it.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Nothing is loaded from elsewhere. Gradio itself needs inline scripts and eval.
_HEADERS = (
    (b"content-security-policy",
     b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
     b"frame-ancestors 'self'; form-action 'self'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)  # fmt: skip
_API = "/gradio_api/"
MOST_BODY = 1 << 20  # bytes of a request that brings no file; a message has 20,000 characters
MOST_FILES = 8  # of the greatest size, in one upload
# Of requests under way: each open tab has a heartbeat, and calls that go round the queue would wait in threads.
_MEMBERS_ONLY = tuple(f"{_API}{name}" for name in ("heartbeat", "cancel", "reset", "stream"))
MOST_AT_ONCE = {
    "/cases/": 4,
    "/originals/": 32,  # each is in memory while it is sent
    f"{_API}heartbeat/": 256,
    f"{_API}run/": 16,
    f"{_API}api/": 16,
    f"{_API}upload": 8,
}
_PORTS = {"http": 80, "https": 443}
FETCHES_NOTHING = "This server fetches nothing from elsewhere."


def is_own_name(name: str) -> bool:
    """Whether a host name can only mean this machine: a loopback address, or "localhost"."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class Owner:
    """Whoever started the app: known by a key that is printed then, and by a cookie from then on."""

    def __init__(self, port: int) -> None:
        self.key = secrets.token_urlsafe(24)
        self.cookie = f"chatreid-owner-{port}"

    def is_key(self, given: str | None) -> bool:
        return given is not None and hmac.compare_digest(given.encode(), self.key.encode())

    def sent(self, request: Any) -> bool:
        """Whether a request, Gradio's or Starlette's, comes from the owner's browser."""
        return self.is_key(request.cookies.get(self.cookie))


def is_logged_in(request: Request) -> bool:
    """True also where no login is asked for."""
    return request.app.auth is None or user_of(request) is not None


def user_of(request: Request) -> str | None:
    """Who is logged in; None for nobody."""
    app: Any = request.app
    cookies = (f"access-token-{app.cookie_id}", f"access-token-unsecure-{app.cookie_id}")
    found = (app.tokens.get(request.cookies.get(cookie)) for cookie in cookies)
    return next(filter(None, found), None)


class Guard:
    """ASGI middleware: no foreign Host on a local server, no foreign page, nothing without bounds, safe headers.

    Args:
        local_only: only this machine's own names are answered to, and `trusted`.
        trusted: host names of proxies, and of the pages they serve. root_path: where a proxy shows the app, "" or
            "/name"; what comes with it is served as without.
        most_upload: bytes of one file. refuse_upload: why no more files are taken now; "" where they are.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        local_only: bool,
        trusted: Collection[str] = (),
        root_path: str = "",
        owner: Owner | None = None,
        most_upload: int = 32 << 20,
        refuse_upload: Callable[[], str] = str,
    ) -> None:
        self.app = app
        self._local_only = local_only
        self._trusted = frozenset(trusted)
        self._root = root_path
        self._owner = owner
        self._most_upload = most_upload
        self._refuse_upload = refuse_upload
        self._under_way = dict.fromkeys(MOST_AT_ONCE, 0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # websockets are not served
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        scope = self._without_root(scope)
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        with self._counted(scope["path"]) as is_free:
            if not is_free:
                busy = _plain("Too many such requests are under way; try again shortly.", 429)
                await busy(scope, receive, send)
                return
            await self._bounded(scope, headers, receive, send)

    def _without_root(self, scope: Scope) -> Scope:
        """As if the proxy had taken the sub-path away, whether it does or not."""
        path, root = scope["path"], self._root
        if not root or not path.startswith(f"{root}/"):
            return scope
        raw = scope.get("raw_path") or b""
        return {
            **scope,
            "path": path[len(root) :],
            "raw_path": raw.removeprefix(root.encode()),
        }

    # Who asks

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host = _address(headers.getlist("host"))
        if self._local_only and (
            host is None or not (is_own_name(host.hostname) or host.hostname in self._trusted)
        ):
            # A page elsewhere may point its own name at 127.0.0.1; its Host gives it away.
            return _plain(
                "This server answers to this machine's own names only; --trusted-host adds another.", 403
            )
        if not self._is_own_page(scope, headers, host):
            return _plain(
                "Pages of other sites may not use this server; --trusted-host names a proxy's.", 403
            )
        path = scope["path"]
        if f"{_API}file/http" in path or "/file=http" in path or "/proxy=" in path:
            return _plain(FETCHES_NOTHING, 403)
        if path.startswith(_MEMBERS_ONLY) and not is_logged_in(Request(scope)):
            return _plain("Please log in.", 401)  # Gradio asks for no login here
        if self._root and path == self._root:
            return RedirectResponse(f"{self._root}/")
        return self._let_in(scope)

    def _is_own_page(self, scope: Scope, headers: Headers, host: _Address | None) -> bool:
        """Whether the request comes from a page of this server, or from no page: a program, or the address bar."""
        origin = headers.get("origin")
        if origin is not None:
            parts = _split(origin)
            if parts is None:
                return False
            if parts.hostname in self._trusted:
                return True
            default = _PORTS.get(parts.scheme)
            return (
                host is not None
                and default is not None
                and (parts.hostname, parts.port or default) == (host.hostname, host.port or default)
            )
        if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
            return True
        # A link elsewhere may lead here: that shows the page, and does nothing.
        return (
            scope["method"] == "GET"
            and headers.get("sec-fetch-mode") == "navigate"
            and headers.get("sec-fetch-dest") == "document"
            and scope["path"] == "/"
        )

    def _let_in(self, scope: Scope) -> Response | None:
        """The owner's key of the address becomes a cookie, and leaves the address."""
        if self._owner is None or scope["path"] != "/" or scope["method"] != "GET":
            return None
        keys = parse_qs(scope["query_string"].decode("latin-1")).get("owner")
        if not keys:
            return None
        response = RedirectResponse(f"{self._root}/", status_code=303)
        if self._owner.is_key(keys[0]):
            response.set_cookie(
                self._owner.cookie, self._owner.key, path=self._root or "/", httponly=True, samesite="strict"
            )
        return response

    # How much they send

    @contextmanager
    def _counted(self, path: str) -> Iterator[bool]:
        kind = next((kind for kind in MOST_AT_ONCE if path.startswith(kind)), None)
        if kind is None:
            yield True
            return
        self._under_way[kind] += 1
        try:
            yield self._under_way[kind] <= MOST_AT_ONCE[kind]
        finally:
            self._under_way[kind] -= 1

    async def _bounded(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        is_upload = scope["path"].rstrip("/") == f"{_API}upload"
        most = self._most_upload * MOST_FILES if is_upload else MOST_BODY
        too_much = _plain(f"The request is larger than {most >> 20} MB.", 413)
        if is_upload and (reason := self._refuse_upload()):
            await _plain(reason, 413)(scope, receive, send)
            return
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > most:
            await too_much(scope, receive, send)
            return
        taken, is_over, has_begun = 0, False, False

        async def receive_bounded() -> Message:
            nonlocal taken, is_over
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most:
                is_over = True
                return {"type": "http.disconnect"}
            return message

        async def send_with_headers(message: Message) -> None:
            nonlocal has_begun
            if is_over and not has_begun:
                return  # whatever the app makes of half a body
            if message["type"] == "http.response.start":
                has_begun = True
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        try:
            await self.app(scope, receive_bounded, send_with_headers)
        except Exception:
            if not is_over:
                raise
        if is_over and not has_begun:
            await too_much(scope, receive, send)


def guarded(**bounds: Any) -> Callable[[Any], Any]:
    """A lifespan for Gradio's app that puts Guard around all of it.

    Middleware given to Gradio stands inside its own CORS layer, which would answer foreign pages first. The lifespan
    begins before the port answers.
    """

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        app.middleware_stack = Guard(app.middleware_stack, **bounds)
        yield

    return lifespan


@dataclass(frozen=True)
class _Address:
    """scheme: "" for a Host header. hostname: lower case, without brackets. port: None where none is named."""

    scheme: str
    hostname: str
    port: int | None


def _address(hosts: list[str]) -> _Address | None:
    return _split(f"//{hosts[0]}") if len(hosts) == 1 else None


def _split(url: str) -> _Address | None:
    """None for what is no plain host, with or without a scheme and a port."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    rest = parts.path or parts.query or parts.fragment or parts.username is not None
    return None if rest or not parts.hostname else _Address(parts.scheme, parts.hostname, port)


def _plain(text: str, status: int) -> PlainTextResponse:
    return PlainTextResponse(text, status_code=status, headers=_as_text(_HEADERS))


def _as_text(headers: Collection[tuple[bytes, bytes]]) -> Mapping[str, str]:
    return {name.decode(): value.decode() for name, value in headers}
