"""What goes wrong with S3 itself, each in one sentence."""

from __future__ import annotations

import pytest

from gallery_store.store import GalleryError, GalleryStore

pytestmark = pytest.mark.s3


def test_a_bucket_that_is_not_there(s3, gallery):
    with pytest.raises(
        GalleryError, match=r"there is no bucket for the pictures in s3://nowhere/x/.*: make it"
    ):
        GalleryStore.open(gallery, pictures="s3://nowhere/x")


def test_a_server_that_is_not_there(s3, gallery, monkeypatch):
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        with pytest.raises(
            GalleryError, match=r"cannot be reached \(.*127\.0\.0\.1:9.*check AWS_ENDPOINT_URL"
        ):
            GalleryStore.open(gallery, pictures=f"{s3}/x")
    finally:
        s3fs.S3FileSystem.clear_instance_cache()


def test_who_has_no_keys(s3, gallery, tmp_path, monkeypatch):
    import s3fs

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        with pytest.raises(GalleryError, match=r"are closed to this program .*check its keys"):
            GalleryStore.open(gallery, pictures=f"{s3}/x")
    finally:
        s3fs.S3FileSystem.clear_instance_cache()
