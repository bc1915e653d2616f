"""The first tables.

crops.camera, camera_key and time hold '' where nothing is known, not NULL: NULLs differ from each other, and
the same picture without a camera would be imported twice. Times are UTC text, "2025-03-04T14:05:06.000000Z".
A vector is `dim` little-endian float16 numbers of a unit vector (in PostgreSQL a halfvec); its encoder's name
and version stand beside it, and two encoders may have vectors side by side while a gallery is re-indexed.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from gallery_store.dialects import PACKED_VECTOR

metadata = MetaData()
_Id = BigInteger().with_variant(Integer, "sqlite")

Table(
    "gallery",  # what holds for the whole gallery: zone, encoder, rewrites
    metadata,
    Column("key", String, primary_key=True),
    Column("value", Text, nullable=False),
)

Table(
    "cases",
    metadata,
    Column("name", String, primary_key=True),
    Column("user_id", String, nullable=False, server_default=""),
    Column("opened", String, nullable=False),
    Column("closed", String),
    Column("note", Text, nullable=False, server_default=""),
)

_crops = Table(
    "crops",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("camera", String, nullable=False),
    Column("camera_key", String, nullable=False),
    Column("time", String(27), nullable=False),
    Column("person", String),
    Column("clothes", String),
    Column("frame", BigInteger),
    Column("path", String, nullable=False),
    Column("file", String, nullable=False),  # below the media folder, or absolute where linked
    Column("linked", Boolean, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("imported", String(27), nullable=False),
    Column("user_id", String, nullable=False, server_default=""),
    Column("case", String, ForeignKey("cases.name")),
    UniqueConstraint("sha256", "camera_key", "time"),
    sqlite_autoincrement=True,  # ids are never reused
)
Index("crops_by_path", _crops.c.path)

Table(
    "vectors",
    metadata,
    Column("crop_id", _Id, ForeignKey("crops.id", ondelete="CASCADE"), primary_key=True),
    Column("encoder", String, primary_key=True),
    Column("version", String, primary_key=True),
    Column("data", PACKED_VECTOR, nullable=False),
)

Table(
    "tags",
    metadata,
    Column("crop_id", _Id, ForeignKey("crops.id", ondelete="CASCADE"), primary_key=True),
    Column("tag", String, primary_key=True),
    Column("position", Integer, nullable=False),
)

Table(
    "searches",  # the audit: rows are only ever added
    metadata,
    Column("id", _Id, primary_key=True),
    Column("time", String(27), nullable=False),
    Column("user_id", String, nullable=False),
    Column("case", String, ForeignKey("cases.name")),
    Column("reason", Text, nullable=False),
    Column("query", Text, nullable=False),  # JSON
    Column("shown", Text, nullable=False),  # JSON list of crop ids, best first
    Column("seconds", Float, nullable=False),
    sqlite_autoincrement=True,
)


def upgrade(connection: Connection) -> None:
    """Make the tables in an empty database."""
    metadata.create_all(connection)
