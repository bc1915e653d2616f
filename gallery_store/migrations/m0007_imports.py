"""Each import as a numbered batch, and which of them added a crop; 0 for none, as of all that were imported before.

`met_by` is the last later import that found the crop there. A conversation says which crops its board has.
"""

from __future__ import annotations

from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, Text

from gallery_store.migrations import m0006_shares

metadata = MetaData()
for _table in m0006_shares.metadata.tables.values():
    _table.to_metadata(metadata)
for _name in ("import_id", "met_by"):
    metadata.tables["crops"].append_column(Column(_name, Integer, nullable=False, server_default="0"))
# JSON list of crop ids; NULL where no step was done since.
metadata.tables["conversations"].append_column(Column("board", Text))

_imports = Table(
    "imports",
    metadata,
    Column("id", Integer, primary_key=True),  # 1, 2, 3, ...
    Column("began", String(27), nullable=False),
    Column("user_id", String, nullable=False),
    Column("source", Text, nullable=False),  # an absolute path
    Column("counts", Text, nullable=False),  # JSON: what became of the pictures -> how many
    Column("undone", String(27)),  # NULL while it is not
    Column("undone_by", String, nullable=False, server_default=""),
    sqlite_autoincrement=True,
)


def upgrade(connection: Connection) -> None:
    """Make the table, and add the columns."""
    _imports.create(connection)
    for column in ("import_id", "met_by"):
        connection.exec_driver_sql(f"ALTER TABLE crops ADD COLUMN {column} INTEGER DEFAULT 0 NOT NULL")
    connection.exec_driver_sql("CREATE INDEX crops_by_import ON crops (import_id)")
    connection.exec_driver_sql("ALTER TABLE conversations ADD COLUMN board TEXT")
