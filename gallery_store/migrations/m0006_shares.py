"""With whom a case is shared, and who did each of its steps; '' for its owner, as all steps before are."""

from __future__ import annotations

from sqlalchemy import Column, Connection, ForeignKey, MetaData, String, Table

from gallery_store.migrations import m0005_messages

metadata = MetaData()
for _table in m0005_messages.metadata.tables.values():
    _table.to_metadata(metadata)
metadata.tables["conversation_steps"].append_column(
    Column("user_id", String, nullable=False, server_default="")
)

_shares = Table(
    "case_shares",
    metadata,
    Column("case", String, ForeignKey("cases.name"), primary_key=True),
    Column("user_id", String, primary_key=True),  # who may open it, besides its owner
    Column("since", String(27), nullable=False),
)


def upgrade(connection: Connection) -> None:
    """Make the table, and add the column."""
    _shares.create(connection)
    connection.exec_driver_sql(
        "ALTER TABLE conversation_steps ADD COLUMN user_id VARCHAR DEFAULT '' NOT NULL"
    )
