"""The tables as the latest migration leaves them."""

from __future__ import annotations

from typing import Literal

from gallery_store.migrations import m0007_imports

# A later migration that alters a table copies this metadata and changes the copy.
metadata = m0007_imports.metadata

gallery = metadata.tables["gallery"]
cases = metadata.tables["cases"]
crops = metadata.tables["crops"]
vectors = metadata.tables["vectors"]
tags = metadata.tables["tags"]
searches = metadata.tables["searches"]
encoders = metadata.tables["encoders"]
conversations = metadata.tables["conversations"]
conversation_steps = metadata.tables["conversation_steps"]
conversation_photos = metadata.tables["conversation_photos"]
conversation_messages = metadata.tables["conversation_messages"]
case_shares = metadata.tables["case_shares"]
imports = metadata.tables["imports"]

Role = Literal["clip", "reid"]  # what an encoder is for; see m0002_encoders
