"""Where a gallery's own pictures are: in a folder, or in an object storage. Nothing else asks which of the two."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path

from gallery_store.media import MediaFolder, MediaWriter
from gallery_store.object_pictures import ObjectPictures, ObjectWriter, StoredPicture

Pictures = MediaFolder | ObjectPictures
PictureWriter = MediaWriter | ObjectWriter
Staged = Path | Future[None] | None  # what a writer's `stage` gives, and its `publish` takes
PictureFile = Path | StoredPicture  # gallery_store.decoding.read_bounded takes both
