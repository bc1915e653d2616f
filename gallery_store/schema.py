"""The tables as the latest migration leaves them."""

from __future__ import annotations

from gallery_store.migrations import m0001_first

# A later migration that alters a table copies this metadata and changes the copy.
metadata = m0001_first.metadata

gallery = metadata.tables["gallery"]
cases = metadata.tables["cases"]
crops = metadata.tables["crops"]
vectors = metadata.tables["vectors"]
tags = metadata.tables["tags"]
searches = metadata.tables["searches"]
