"""A gallery on PostgreSQL whose pictures lie in an object storage: what differs from a file there, and the app over it.
The tests of test_gallery_storage.py run on it as well."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from gradio_client import Client, handle_file
from PIL import Image

from app.settings import DEMO_GALLERY
from gallery_store.crops import Filters
from gallery_store.encoder import ClipEncoder
from gallery_store.importer import import_crops
from gallery_store.imports import undo_import
from gallery_store.object_storage import ObjectStorage
from gallery_store.shown import original
from gallery_store.store import GalleryStore
from gallery_store.verify import verify
from tests.clip_folder import make_clip_folder
from tests.gallery_tools import PixelEncoder, all_crops, write_pictures
from tests.serving import Served, serving
from tests.test_gallery_postgres import as_user, beside_its_copy, looked_at, url

__all__ = ["as_user", "url"]

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.filterwarnings("ignore:Did not recognize type 'halfvec'"),
]
NAMES = [f"{n}.png" for n in range(4)]


def imported(url: str, storage: str, folder: Path) -> GalleryStore:
    store = GalleryStore.open(url, pictures=storage)
    import_crops(store, PixelEncoder(), write_pictures(folder / "in", NAMES))
    return store


def test_a_copy_of_the_database_takes_a_prefix_of_its_own(postgres, url, storage, tmp_path):
    with imported(url, storage, tmp_path) as store:
        prefix = store.pictures.url
    with beside_its_copy(postgres, url, tmp_path) as (store, copy):
        assert copy.storage == store.storage == storage
        assert copy.pictures.url != store.pictures.url == prefix


def test_machines_share_the_storage_and_each_has_its_own_copies(postgres, url, storage, tmp_path):
    name = sa.make_url(url).database
    (tmp_path / "second").mkdir()
    with (
        imported(url, storage, tmp_path) as first,
        GalleryStore.open(postgres.url(name, tmp_path / "second")) as second,
    ):
        assert second.pictures.url == first.pictures.url and second.count() == 4
        assert second.cache.parent == second.thumbs.parent == tmp_path / "second"
        for crop in all_crops(second):
            assert original(crop)[0] == (tmp_path / "in" / crop.path).read_bytes()
            assert second.thumbnail(crop.id).is_file()
        assert not first.cache.exists() and not first.thumbs.exists()

        more = write_pictures(tmp_path / "more", ["8.png", "9.png"], first_seed=30)
        assert import_crops(second, PixelEncoder(), more).added == 2
        assert len(first.matching(Filters())) == 6 and first.crops([6])[0].file.read()
        assert first.delete([1]) == 1 and len(second.matching(Filters())) == 5
        assert len(list(second.pictures.copies())) == 4  # what it read before the other deleted it
        assert verify(second).collected == 2  # its copy and its thumbnail
        assert len(list(second.pictures.copies())) == 3
        undo_import(second, 2, "Ana")
        assert first.count() == 3 and verify(first).ok and verify(second).ok
        assert len(ObjectStorage(first.pictures.url).names()) == 4  # gallery.json is one of them


def test_who_may_only_read_looks_at_the_pictures(as_user, url, storage, tmp_path):
    imported(url, storage, tmp_path).close()
    with looked_at(as_user, url, tmp_path) as store:
        assert store.storage == storage and original(store.crops([1])[0])[0]


# The app


@pytest.fixture(scope="module")
def app(postgres, s3, tmp_path_factory) -> Iterator[tuple[Served, str]]:
    """Twelve crops of the demo, CLIP alone; and the gallery's URL."""
    folder: Path = tmp_path_factory.mktemp("app")
    clip = make_clip_folder(folder / "clip")
    (folder / "crops").mkdir()
    for file in sorted(DEMO_GALLERY.glob("*.jpg"))[:12]:
        (folder / "crops" / file.name).symlink_to(file)
    with postgres.database(folder) as url:
        with GalleryStore.open(url, pictures=f"{s3}/app") as store:
            assert import_crops(store, ClipEncoder.load(clip), folder / "crops").added == 12
        argv = ("--gallery", url, "--clip", str(clip), "--model", "none", "--index", "database")
        with serving(folder / "data", *argv) as served:
            yield served, url


@pytest.mark.slow
@pytest.mark.s3
def test_the_app_shows_and_searches_pictures_in_s3(app, tmp_path):
    served, url = app
    with GalleryStore.open(url) as store:
        crop = store.crops([1])[0]
        data = ObjectStorage(store.pictures.url).read(crop.file.at)
    whole = httpx.get(f"{served.url}originals/1")
    assert whole.content == data and whole.headers["content-type"] == "image/jpeg"
    with Image.open(BytesIO(httpx.get(f"{served.url}crops/1.jpg").content)) as thumbnail:
        assert thumbnail.size == (crop.width, crop.height)  # it is small as it is
    assert httpx.get(f"{served.url}crops/1-large.jpg").status_code == 200

    photo = tmp_path / "photo.jpg"
    photo.write_bytes(data)
    client = Client(served.url, verbose=False)
    _, by_words, _ = client.predict(message={"text": "a red coat", "files": []}, api_name="/chat")
    assert len(by_words) == 12
    _, by_crop, _ = client.predict(by_words[0]["image_id"], api_name="/search_with")
    assert by_words[0]["image_id"] not in [card["image_id"] for card in by_crop]
    client.predict(api_name="/reset")
    _, by_photo, status = client.predict(
        message={"text": "", "files": [handle_file(str(photo))]}, api_name="/chat"
    )
    assert by_photo[0]["image_id"] == 1 and not status.get("unreadable")
    client.close()


@pytest.mark.slow
@pytest.mark.s3
def test_the_app_follows_what_another_process_deletes_and_says_what_is_lost(app):
    served, url = app
    with GalleryStore.open(url) as store:
        lost = store.crops([11])[0].file
        ObjectStorage(store.pictures.url).remove(lost.at)
        shutil.rmtree(store.cache)  # what was searched is on this machine too
        assert store.delete([12]) == 1
    assert httpx.get(f"{served.url}originals/12").status_code == 404
    gone = httpx.get(f"{served.url}originals/11")
    assert gone.status_code == 404 and "the file does not exist" in gone.text
    client = Client(served.url, verbose=False)
    _, candidates, _ = client.predict(message={"text": "a red coat", "files": []}, api_name="/chat")
    assert 12 not in [card["image_id"] for card in candidates] and len(candidates) == 11
    client.close()
