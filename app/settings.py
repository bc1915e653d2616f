"""Every setting of the app, in one place: environment CHATREID_*, the command line over it.

Reading settings imports nothing heavy, so `--help` and a wrong value answer at once.
"""

from __future__ import annotations

import argparse
import ipaddress
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

ROOT = Path(__file__).resolve().parents[1]
DEMO_GALLERY = ROOT / "assets" / "demo_gallery"
DEMO_CLIP = ROOT / "assets" / "demo_clip"
DEMO_MODEL = ROOT / "assets" / "demo_qwen2vl"
PREFIX = "CHATREID_"
_UNITS = {"MB": 1_000_000, "GB": 1_000_000_000}
NO_MODEL = "none"  # as --model: CLIP alone
RAY, OPENAI = "ray://", "openai:"  # as --model or --clip, and as --model: what is computed elsewhere
IN_RAY = "ray"  # as --serve

# What each of them does stands in app/retrieval/rankers.py.
RankerName = Literal["clip", "pairwise", "best-choice", "fused"]
RANKER_NAMES: tuple[RankerName, ...] = get_args(RankerName)
CLIP, PAIRWISE, BEST_CHOICE, FUSED = RANKER_NAMES

INDEX_PLACES = ("memory", "database", "auto")  # see gallery_store.followed_index


class SettingsError(ValueError):
    """A setting that makes no sense; the message names it and what would do instead."""


def _option(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class Settings:
    """What the app runs with. Paths may be relative to the working directory."""

    host: str = _option("127.0.0.1", "address to listen on; any but this machine's own needs --login")
    port: int = _option(7860, "port to listen on, 1 to 65535")
    trusted_host: str = _option(
        "", "host names, set apart by commas, that a proxy before the app keeps and serves its page under"
    )
    root_path: str = _option("", "sub-path under which a proxy shows the app, such as /chatreid")
    login: str = _option("", "user:password, or a file with one such pair per line; empty asks for none")
    data: str = _option(str(ROOT / "data"), "folder for all state: gallery, thumbnails, uploads")
    gallery: str = _option("", "gallery file or SQLAlchemy URL (default: gallery.db in the data folder)")
    index: str = _option(
        "auto",
        f"where a search looks for the nearest crops: {', '.join(INDEX_PLACES)}; database is for a gallery on "
        "PostgreSQL, and auto takes it beyond 300,000 crops",
    )
    pictures: str = _option(
        "",
        "object storage in which a gallery made now keeps its pictures, such as s3://bucket/folder (default: a folder "
        "beside the gallery)",
    )
    zone: str = _option("", "time zone of a gallery made now, such as Europe/Paris (default: UTC)")
    model: str = _option(
        str(DEMO_MODEL),
        f"Qwen2-VL folder or hub name, such as Qwen/Qwen2-VL-2B-Instruct; {RAY}HOST:PORT for one on Ray Serve; "
        f"{OPENAI}URL#NAME for one behind an OpenAI-compatible server; {NO_MODEL} for CLIP alone",
    )
    serve: str = _option(
        "", "ray: run model and CLIP as replicas on a Ray that is started, and ended, with the app"
    )
    replicas: str = _option("1", "of the model, with --serve ray: a number, or bounds such as 1-4")
    four_bit: bool = _option(False, "load the model in 4 bit (NF4)")
    clip: str = _option(
        str(DEMO_CLIP),
        "CLIP folder or open_clip name, such as ViT-B-16/laion2b_s34b_b88k; or ray://HOST:PORT",
    )
    reid: str = _option(
        "",
        "re-ID encoder that prefilters queries by picture: ARCHITECTURE=FILE (timm), a timm folder, FILE.pt "
        "(TorchScript: a program, which is run) or FILE.onnx (default: none, CLIP does)",
    )
    model_reads: bool = _option(
        False,
        "let the model read each message too, where it can talk; where it reads another search, both are shown",
    )
    device: str = _option("auto", "cpu, cuda, cuda:N, or auto for the best there is")
    token_cache: str = _option(
        "",
        "memory for what the model saw of pictures, such as 8GB or 500MB (default: a share of what is free)",
    )
    ranker: str = _option(
        "", f"who ranks: {', '.join(RANKER_NAMES)} (default: the model's own, {CLIP} without a model)"
    )
    k: int = _option(64, "the most candidates that the model scores in one search")
    tau: float | None = _option(
        None, "CLIP cosine below which a crop is not scored (default: the model's own)"
    )
    export_key_file: str = _option(
        "", "file with the key, 32 bytes or more, that exports of cases are signed with (default: not signed)"
    )
    max_upload_mb: int = _option(32, "largest file that may be uploaded, in MB")
    max_pixels: int = _option(50_000_000, "largest picture that is decoded, in pixels")
    reason: str = _option(
        "optional",
        "whether a search needs a reason: optional; or required, once for each case, before pictures are shown",
    )
    session_hours: float = _option(12.0, "hours after which an idle conversation is forgotten")
    browser: bool = _option(False, "open a browser when ready")

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65535:
            raise SettingsError(f"--port is {self.port}, but ports go from 1 to 65535")
        for name in ("k", "max_upload_mb", "max_pixels"):
            if getattr(self, name) < 1:
                raise SettingsError(f"--{_flag(name)} is {getattr(self, name)}, but it must be 1 or more")
        for name in self.trusted_hosts:
            if not re.fullmatch(r"[\w.-]+|[0-9a-f:.]*:[0-9a-f:.]*", name):
                raise SettingsError(
                    f"--trusted-host is {name!r}; give names alone, such as reid.example.org, without "
                    "scheme, port or path"
                )
        if self.root_path and not re.fullmatch(r"(/[\w.~-]+)+", self.root_path):
            raise SettingsError(f"--root-path is {self.root_path!r}; give a path such as /chatreid")
        self.token_cache_bytes  # noqa: B018 (refuses nonsense)
        if self.session_hours <= 0:
            raise SettingsError(f"--session-hours is {self.session_hours}, but it must be above 0")
        if self.tau is not None and not -1 <= self.tau <= 1:
            raise SettingsError(f"--tau is {self.tau}, but a cosine lies between -1 and 1")
        for name in ("host", "data", "model", "clip", "device"):
            if not getattr(self, name).strip():
                raise SettingsError(f"--{name} is empty")
        if self.device != "auto" and self.device.split(":")[0] not in ("cpu", "cuda", "mps"):
            raise SettingsError(f"--device is {self.device!r}; give cpu, cuda, cuda:N, mps or auto")
        if self.index not in INDEX_PLACES:
            raise SettingsError(f"--index is {self.index!r}; give {', '.join(INDEX_PLACES)}")
        if self.ranker and self.ranker not in RANKER_NAMES:
            raise SettingsError(f"--ranker is {self.ranker!r}; give {', '.join(RANKER_NAMES)}")
        if self.ranker not in ("", CLIP) and not self.has_model:
            raise SettingsError(f"--ranker {self.ranker} asks a model, and --model is {NO_MODEL}")
        if self.reid.strip() in ("", "none"):  # "none" overrules the environment
            object.__setattr__(self, "reid", "")
        if self.reason not in ("optional", "required"):
            raise SettingsError(f"--reason is {self.reason!r}; give optional or required")
        if self.serve not in ("", IN_RAY):
            raise SettingsError(f"--serve is {self.serve!r}; give {IN_RAY}, or nothing for this process")
        if self.serve and any(map(is_elsewhere, (self.model, self.clip))):
            raise SettingsError(
                f"--serve {IN_RAY} starts models that lie here, and --model or --clip is elsewhere"
            )
        if self.zone:
            _check_zone(self.zone)
        if not self.users and not self.is_local:
            raise SettingsError(
                f"--host {self.host} can be reached from other machines; "
                "give --login (user:password or a file), or listen on 127.0.0.1"
            )

    @property
    def is_local(self) -> bool:
        """True if only this machine can reach the app."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    @property
    def needs_reason(self) -> bool:
        """True if no case may show pictures before its reason is given."""
        return self.reason == "required"

    @property
    def trusted_hosts(self) -> frozenset[str]:
        """Lower case, without the brackets of IPv6 addresses."""
        names = (name.strip().strip("[]").lower() for name in self.trusted_host.split(","))
        return frozenset(name for name in names if name)

    @property
    def users(self) -> dict[str, str]:
        """user -> password; empty when no login is asked for."""
        return _read_login(self.login)

    @property
    def token_cache_bytes(self) -> int | None:
        """None for a share of what is free. Raises SettingsError for what is no size."""
        text = self.token_cache.strip().upper()
        if not text:
            return None
        number, unit = text[:-2].strip(), text[-2:]
        if text == "0":
            return 0
        if unit not in _UNITS or not number.replace(".", "", 1).isdecimal():
            raise SettingsError(f"--token-cache is {self.token_cache!r}; give a size such as 8GB, 500MB or 0")
        return int(float(number) * _UNITS[unit])

    @property
    def gallery_location(self) -> str:
        return self.gallery or str(Path(self.data) / "gallery.db")

    @property
    def is_default_gallery(self) -> bool:
        """True if the operator named no gallery: the demo crops may be imported into it."""
        return not self.gallery

    @property
    def has_model(self) -> bool:
        """False where CLIP searches alone."""
        return self.model != NO_MODEL

    @property
    def is_offline(self) -> bool:
        """True if both models lie on this machine: no hub needs to be asked."""
        return all(
            name == NO_MODEL or is_elsewhere(name) or Path(name).exists() for name in (self.model, self.clip)
        )

    @classmethod
    def parse(cls, argv: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
        """Settings from the environment and the command line. SettingsError on nonsense; --help exits."""
        values = {f.name: environ[_variable(f.name)] for f in fields(cls) if environ.get(_variable(f.name))}
        given = vars(parser().parse_args(argv))
        values.update({name: value for name, value in given.items() if value is not None})
        return cls(**{name: _convert(name, value) for name, value in values.items()})


def parser() -> argparse.ArgumentParser:
    """The command line, one flag per setting."""
    made = argparse.ArgumentParser(
        prog="app.py",
        description="Find one person among camera crops by talking.",
        epilog="Each setting is also an environment variable, named in brackets; the command line wins.",
    )
    for f in fields(Settings):
        text = f"{f.metadata['help']} [{_variable(f.name)}]"
        if f.default not in ("", None, False):
            text += f" (default: {_shown(f.default)})"
        if isinstance(f.default, bool):
            made.add_argument(
                f"--{_flag(f.name)}", action=argparse.BooleanOptionalAction, default=None, help=text
            )
        else:
            made.add_argument(f"--{_flag(f.name)}", metavar=_metavar(f.name), help=text.replace("%", "%%"))
    return made


def _flag(name: str) -> str:
    return name.replace("_", "-")


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _metavar(name: str) -> str:
    kinds = {"port": "N", "k": "N", "tau": "X", "max_upload_mb": "N", "max_pixels": "N", "session_hours": "X"}
    return kinds.get(name, name.upper())


def _shown(default: Any) -> str:
    """A default as --help prints it: paths inside the checkout relative to it."""
    return str(default).removeprefix(f"{ROOT}{os.sep}")


def _convert(name: str, value: Any) -> Any:
    """A setting's text in its own type."""
    if isinstance(value, bool):
        return value
    text = str(value).strip()
    default = next(f.default for f in fields(Settings) if f.name == name)
    if isinstance(default, bool):
        if text.lower() in ("1", "true", "yes", "on"):
            return True
        if text.lower() in ("0", "false", "no", "off"):
            return False
        raise SettingsError(f"{_variable(name)} is {text!r}; give true or false")
    if isinstance(default, int):
        return _number(name, text, int)
    if isinstance(default, float) or name == "tau":
        return _number(name, text, float)
    return text


def _number(name: str, text: str, kind: type) -> Any:
    try:
        number = kind(text)
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise SettingsError(f"--{_flag(name)} is {text!r}, but {wanted} is needed") from None
    if number != number:
        raise SettingsError(f"--{_flag(name)} is {text!r}, but a number is needed")
    return number


def is_elsewhere(name: str) -> bool:
    """Whether a model so named computes on Ray Serve, or behind somebody's server."""
    return name.startswith((RAY, OPENAI))


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise SettingsError(
            f"--zone is {name!r}, which is no IANA time zone; try UTC or Europe/Paris"
        ) from None


def _read_login(login: str) -> dict[str, str]:
    if not login:
        return {}
    path = Path(login)
    try:
        is_file = path.is_file()
    except OSError:  # a password may be too long, or hold what no path can
        is_file = False
    if is_file:
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError):
            raise SettingsError(f"--login names the file {login}, which cannot be read as text") from None
        pairs = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    else:
        pairs = [login]
    users = {}
    for pair in pairs:
        user, colon, password = pair.partition(":")
        if not (user and colon and password):
            # the text is not shown: it may be a password
            raise SettingsError("--login needs user:password, or a file with one such pair per line")
        users[user] = password
    if not users:
        raise SettingsError(f"--login names the file {login}, which holds no user:password line")
    return users
