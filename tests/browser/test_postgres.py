"""The conversation of the browser tests, unchanged, over a gallery on PostgreSQL that is searched in the database, and
whose pictures are in S3 where that is wanted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.settings import DEMO_GALLERY, Settings
from gallery_store.encoder import ClipEncoder
from gallery_store.importer import import_crops
from gallery_store.store import GalleryStore
from tests.browser.test_conversation import test_the_conversation
from tests.postgres_server import Server
from tests.serving import Served, serving

__all__ = ["test_the_conversation"]

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.postgres]


@pytest.fixture(scope="module")
def served(
    request: pytest.FixtureRequest, postgres: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("served_postgres")
    storage = f"{request.getfixturevalue('s3')}/page" if os.environ.get("CHATREID_TEST_S3") else ""
    with postgres.database(folder) as url:
        with GalleryStore.open(url, pictures=storage) as store:
            assert import_crops(store, ClipEncoder.load(Settings().clip), DEMO_GALLERY).added
            assert store.storage == storage and store.media.exists() == (not storage)
        with serving(folder / "data", "--gallery", url, "--index", "database") as server:
            assert not list(server.data.glob("*.db"))
            yield server
