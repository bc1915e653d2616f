"""How a gallery is named: a file, or a URL, of which a password is never shown."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

_LOGIN = re.compile(r"(?<=://)(?P<user>[^:/@?]*)(?P<password>:.*)?@", re.DOTALL)
_OPTION = re.compile(r"(?<=[?&])(?P<name>[^=&]*password)=[^&]*", re.IGNORECASE)


def is_url(location: str | Path) -> bool:
    """Whether it is an SQLAlchemy URL, and not a file's name."""
    return "://" in str(location)


def location_shown(location: str | Path) -> str:
    """The location as messages, logs and the audit name it: a URL, even one that cannot be read, without password."""
    text = str(location)
    if not is_url(text):
        return text
    text = _LOGIN.sub(lambda found: f"{found['user']}{':***' if found['password'] else ''}@", text)
    return _OPTION.sub(lambda found: f"{found['name']}=***", text)


def location_of(text: str) -> Path | str:
    """A command line's gallery: a URL stays one, and all else is a file."""
    return text if is_url(text) else Path(text)


def short_name(location: str | Path) -> str:
    """The name of the file or the database, without the folder or the server it is in."""
    return Path(urlsplit(str(location)).path if is_url(location) else location).name
