"""Messages of operators as they were sent, before they are answered: a kill in between loses none.

Rows are only ever added, and marked once they are settled.
"""

from __future__ import annotations

from sqlalchemy import Column, Connection, ForeignKey, Integer, MetaData, String, Table, Text

from gallery_store.migrations import m0004_conversations

metadata = MetaData()
for _table in m0004_conversations.metadata.tables.values():
    _table.to_metadata(metadata)

_messages = Table(
    "conversation_messages",
    metadata,
    Column("case", String, ForeignKey("cases.name"), primary_key=True),
    Column("number", Integer, primary_key=True),  # 1, 2, 3, ...
    Column("time", String(27), nullable=False),
    Column("user_id", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("photos", Text, nullable=False),  # JSON list of names in conversation_photos
    Column(
        "settled", String(27)
    ),  # when it became a step, or the next message took its place; NULL while neither
)


def upgrade(connection: Connection) -> None:
    """Make the table."""
    _messages.create(connection)
