"""Imports as batches: who brought what, when and from where; and taking back all that one of them added."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import Connection

from gallery_store import rows
from gallery_store.database import now_text, time_of
from gallery_store.errors import GalleryError
from gallery_store.items import IN_ZIP
from gallery_store.schema import conversations, crops, imports

if TYPE_CHECKING:
    from gallery_store.store import GalleryStore

_CHUNK = 500  # SQLite bounds the number of parameters


@dataclass(frozen=True)
class ImportBatch:
    """began: UTC, aware. user: who began it; "" for the command and the demo. source: an absolute path of the machine.
    counts: "added", "unchanged", "completed", "corrected", "mended", "rejected" -> pictures. here: crops that it added
    and that are there. undone: when, None while it is not; by undone_by.
    """

    id: int
    began: datetime
    user: str
    source: str
    counts: Mapping[str, int]
    here: int
    undone: datetime | None = None
    undone_by: str = ""

    @property
    def name(self) -> str:
        """The last part of its source, which tells nothing of the machine's folders."""
        return Path(self.source.partition(IN_ZIP)[0]).name or "pictures"

    def in_words(self) -> str:
        """ "40 added, 3 completed"; "nothing" where nothing came of it."""
        said = [f"{count:,} {what}" for what, count in self.counts.items() if count]
        return ", ".join(said) or "nothing"


@dataclass(frozen=True)
class Undoing:
    """What goes, or went, with an import. crops: that it added. changed: crops of others that it completed, corrected
    or mended, which stay as they are. boards: of these crops, how many stand on the board of how many cases. met: later
    imports that found crops of it there -> how many.
    """

    crops: int
    changed: int
    boards: tuple[int, int]
    met: Mapping[int, int]

    def in_words(self) -> list[str]:
        """One sentence for each thing that whoever undoes it should know."""
        said = []
        if self.changed:
            said.append(
                f"{self.changed:,} crops that were there before and that it completed, corrected or mended stay as "
                "they are."
            )
        on_board, cases = self.boards
        if on_board:
            said.append(
                f"{on_board:,} of them stand on the board of {cases:,} {'case' if cases == 1 else 'cases'}, and then "
                "stand there without a picture."
            )
        for later, count in self.met.items():
            said.append(f"Import {later} brought {count:,} of them again: they go all the same.")
        return said


def begin_import(connection: Connection, user: str, source: Path) -> int:
    """-> its number."""
    values = {"began": now_text(), "user_id": user, "source": str(source.absolute()), "counts": "{}"}
    inserted = connection.execute(imports.insert().values(**values))
    return int(inserted.inserted_primary_key[0])  # type: ignore[index]


def count_import(connection: Connection, number: int, counts: Mapping[str, int]) -> None:
    """What it came to so far. Raises GalleryError where somebody undid it meanwhile: nothing is added to it then."""
    one = imports.update().where(imports.c.id == number, imports.c.undone.is_(None))
    if not connection.execute(one.values(counts=json.dumps(dict(counts)))).rowcount:
        raise GalleryError(f"import {number} was undone while it ran: the rest of it was not imported")


def note_met(connection: Connection, number: int, ids: Collection[int]) -> None:
    """Crops of other imports that this one found there."""
    chosen = list(ids)
    for start in range(0, len(chosen), _CHUNK):
        some = crops.c.id.in_(chosen[start : start + _CHUNK])
        connection.execute(crops.update().where(some, crops.c.import_id != number).values(met_by=number))


def imports_of(store: GalleryStore, most: int | None = None) -> list[ImportBatch]:
    """All imports, the last one first; those before a gallery knew of imports are not there."""
    here = (
        sa.select(sa.func.count())
        .select_from(crops)
        .where(crops.c.import_id == imports.c.id)
        .scalar_subquery()
    )
    chosen = sa.select(imports, here.label("here")).order_by(imports.c.id.desc()).limit(most)
    with store.database.reading() as connection:
        if not sa.inspect(connection).has_table(imports.name):  # an older gallery that cannot be written
            return []
        return [_batch(row) for row in connection.execute(chosen).mappings()]


def _batch(row: sa.RowMapping) -> ImportBatch:
    began = time_of(row["began"])
    assert began is not None
    counts, undone = json.loads(row["counts"]), time_of(row["undone"] or "")
    return ImportBatch(
        row["id"], began, row["user_id"], row["source"], counts, row["here"], undone, row["undone_by"]
    )


def import_numbered(store: GalleryStore, number: int) -> ImportBatch:
    """Raises GalleryError where there is no such import."""
    found = next((batch for batch in imports_of(store) if batch.id == number), None)
    if found is None:
        raise GalleryError(
            f"there is no import {number} in {store.location}: `python -m gallery_store imports` lists them"
        )
    return found


def what_undoing_takes(store: GalleryStore, batch: ImportBatch) -> Undoing:
    """What would go with the import now."""
    with store.database.reading() as connection:
        return _what_goes(connection, batch)


def undo_import(store: GalleryStore, number: int, user: str) -> Undoing:
    """Remove all crops that the import added, as `delete` removes crops; -> what went.

    The rows go in one transaction, in which the import becomes one that is undone; then their files. A kill in between
    leaves files without rows, which `verify` collects. user: who undoes it. Raises GalleryError; an import that is
    undone already, or has nothing left, stays as it is.
    """
    batch = import_numbered(store, number)
    store.database.require_writable()
    with store.database.writing() as connection:
        taken = _what_goes(connection, batch)
        ids = connection.execute(sa.select(crops.c.id).where(crops.c.import_id == number)).scalars().all()
        removed = rows.delete_crops(connection, ids)
        mark = imports.update().where(imports.c.id == number, imports.c.undone.is_(None))
        connection.execute(mark.values(undone=now_text(), undone_by=user))
    store.note_change()
    store.collect({sha for sha, _ in removed}, {name for _, name in removed if name})
    return taken


def _what_goes(connection: Connection, batch: ImportBatch) -> Undoing:
    at = crops.c
    own = set(connection.execute(sa.select(at.id).where(at.import_id == batch.id)).scalars())
    count = sa.func.count().label("crops")
    met = sa.select(at.met_by, count).where(at.import_id == batch.id, at.met_by > 0).group_by(at.met_by)
    boards = connection.execute(sa.select(conversations.c.board).where(conversations.c.board.is_not(None)))
    on_boards = [shown for board in boards.scalars() if (shown := own.intersection(json.loads(board)))]
    changed = sum(batch.counts.get(what, 0) for what in ("completed", "corrected", "mended"))
    return Undoing(
        len(own),
        changed,
        (len(set().union(*on_boards)), len(on_boards)),
        {row.met_by: row.crops for row in connection.execute(met.order_by(at.met_by))},
    )
