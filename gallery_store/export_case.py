"""An exported case: what came of it, and who makes it.

What a case's steps mean stands right of this layer. Whoever knows it is found by name, as a plug-in is, when a case is
exported by the command; nothing here imports it.
"""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gallery_store.errors import GalleryError

if TYPE_CHECKING:
    from gallery_store.store import GalleryStore

_REPORTER = EntryPoint("case", "app.export.archive:export_case", "chatreid.exports")


@dataclass(frozen=True)
class ExportedCase:
    """sightings, rejected: crops. missing: sentences about lost pictures. manifest: its SHA-256."""

    sightings: int
    rejected: int
    missing: tuple[str, ...]
    signed: bool
    manifest: str

    def in_words(self, file: str) -> str:
        """One line for a terminal."""
        signed = "signed" if self.signed else "not signed: no key is configured"
        return f"{self.sightings} sightings and {self.rejected} ruled out exported to {file}; {signed}"


def export_case(store: GalleryStore, case: str, file: Path, key: bytes | None) -> ExportedCase:
    """Whosever case it is: who can read the gallery's file can read them all. The audit names the account.

    Raises GalleryError: there is no such case, the file is there already, or what is to read cases is not installed.
    """
    if file.exists():
        raise GalleryError(f"{file} is there already: name a new file")
    try:
        owner = store.cases.record(case).user
        reporter: Any = _REPORTER.load()
    except KeyError:
        raise GalleryError(
            f"there is no case {case} in {store.location}: `python -m gallery_store cases` lists them"
        ) from None
    except ImportError as problem:
        raise GalleryError(
            f"cases can be exported only where all of ChatReID is installed ({problem})"
        ) from None
    return reporter(store, case, owner, file, by=_account(), key=key)


def _account() -> str:
    try:
        return f"{getpass.getuser()}, by command"
    except (KeyError, OSError):  # an account without a name
        return "by command"
