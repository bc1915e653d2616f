"""A table of the encoders by what they are for, in place of two keys of the table "gallery".

"clip" compares crops with words and pictures; "reid", where there is one, goes before it for queries by picture. Each
crop has a vector by each of the two. Programs of schema 1 would import crops without the second, and are kept out.
"""

from __future__ import annotations

from sqlalchemy import Column, Connection, MetaData, String, Table, select

from gallery_store.migrations import m0001_first

metadata = MetaData()
for _table in m0001_first.metadata.tables.values():
    _table.to_metadata(metadata)

_encoders = Table(
    "encoders",
    metadata,
    Column("role", String, primary_key=True),  # "clip" or "reid"
    Column("name", String, nullable=False),
    Column("version", String, nullable=False),
)


def upgrade(connection: Connection) -> None:
    """Make the table, and move there what the gallery says of its encoder."""
    _encoders.create(connection)
    gallery = metadata.tables["gallery"]
    of_encoder = gallery.c.key.in_(["encoder", "encoder_version"])
    said = {row.key: row.value for row in connection.execute(select(gallery).where(of_encoder))}
    if len(said) == 2:
        values = {"role": "clip", "name": said["encoder"], "version": said["encoder_version"]}
        connection.execute(_encoders.insert().values(values))
    connection.execute(gallery.delete().where(of_encoder))
