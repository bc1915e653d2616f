"""Where each crop's picture was imported from; '' where that is not known, as of all that were imported before.

A later import knows a crop again by it. Programs of schema 2 would put pictures into a folder that galleries of one
stem share, and are kept out.
"""

from __future__ import annotations

from sqlalchemy import Column, Connection, MetaData, String

from gallery_store.migrations import m0002_encoders

metadata = MetaData()
for _table in m0002_encoders.metadata.tables.values():
    _table.to_metadata(metadata)
# A file's absolute path; of a member of a zip, that of the zip, "!" and the member's name.
metadata.tables["crops"].append_column(Column("source", String, nullable=False, server_default=""))


def upgrade(connection: Connection) -> None:
    """Add the column."""
    connection.exec_driver_sql("ALTER TABLE crops ADD COLUMN source VARCHAR DEFAULT '' NOT NULL")
