"""The conversations with operators: a row for each case that is one, its steps, and the photos that they speak of.

Rows of steps and photos are only ever added. Programs of schema 3 would copy a gallery without them, and are kept out.
"""

from __future__ import annotations

from sqlalchemy import Column, Connection, ForeignKey, Integer, LargeBinary, MetaData, String, Table, Text

from gallery_store.migrations import m0003_sources

metadata = MetaData()
for _table in m0003_sources.metadata.tables.values():
    _table.to_metadata(metadata)

_NEW = (
    Table(
        "conversations",
        metadata,
        Column("case", String, ForeignKey("cases.name"), primary_key=True),
        Column("title", Text, nullable=False),
        Column("changed", String(27), nullable=False),  # when its last step was done
        Column("turns", Integer, nullable=False),  # those that were not taken back
        Column("confirmed", Integer, nullable=False),  # crops
    ),
    Table(
        "conversation_steps",
        metadata,
        Column("case", String, ForeignKey("cases.name"), primary_key=True),
        Column("number", Integer, primary_key=True),  # 1, 2, 3, ...
        Column("time", String(27), nullable=False),
        Column("data", Text, nullable=False),  # JSON
        Column("ranking", Text),  # JSON; NULL where it is that of the step before
    ),
    Table(
        "conversation_photos",
        metadata,
        Column("case", String, ForeignKey("cases.name"), primary_key=True),
        Column("name", String, primary_key=True),
        Column("data", LargeBinary, nullable=False),
    ),
)


def upgrade(connection: Connection) -> None:
    """Make the tables."""
    for table in _NEW:
        table.create(connection)
