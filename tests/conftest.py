"""What tests share: one running app for the whole session, and a browser."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests import postgres_server
from tests.serving import Served, serving

# No test is a timed one: a busy machine takes its time.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

BACKENDS: list[Any] = ["sqlite"]
collect_ignore = []
if postgres_server.WANTED:
    BACKENDS.append(pytest.param("postgresql", marks=pytest.mark.postgres))
else:
    collect_ignore += ["test_gallery_postgres.py", "test_gallery_postgres_storage.py"]
    collect_ignore += ["test_search_in_database.py", "browser/test_postgres.py"]
STORAGES: list[Any] = ["memory"]
if os.environ.get("CHATREID_TEST_S3"):  # `make test-postgres` sets it
    STORAGES.append(pytest.param("s3", marks=pytest.mark.s3))
else:
    collect_ignore += ["test_gallery_s3.py"]
if not os.environ.get("CHATREID_TEST_RAY"):  # `make test-ray` sets it
    collect_ignore += ["test_serving_ray.py", "test_deployment_ray.py", "browser/test_ray.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: the last process to end should not be left with one of them alone."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_server.Server]:
    """A PostgreSQL with pgvector; see postgres_server."""
    with postgres_server.server() as server:
        yield server


@pytest.fixture(params=BACKENDS)
def gallery(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | str]:
    """Where a gallery may be made, its pictures below tmp_path: a file, and an empty database where a server is."""
    if request.param == "sqlite":
        yield tmp_path / "g.db"
        return
    with request.getfixturevalue("postgres").database(tmp_path) as url:
        yield url


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The URL of a bucket of a server of this process; how it is reached stands in the environment."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        import s3fs

        s3fs.S3FileSystem(skip_instance_cache=True).mkdir("crops")
        yield "s3://crops"
    server.stop()


@pytest.fixture(params=STORAGES)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty folder of an object storage: in memory, and S3 where that is wanted."""
    bucket = "memory://crops" if request.param == "memory" else request.getfixturevalue("s3")
    return f"{bucket}/{tmp_path.name}-{secrets.token_hex(4)}"


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`python app.py` with its demo gallery and demo models, on a free port, its state in a folder of its own.

    The model scores half as many candidates as it does by default: most of a search is that.
    """
    with serving(tmp_path_factory.mktemp("served"), "--k", "32") as server:
        yield server


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """Headless Chromium. Where there is none, the test is skipped; with CI=true it fails."""
    found = shutil.which(CHROMIUM) or (CHROMIUM if Path(CHROMIUM).exists() else None)
    if found is None:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"there is no Chromium at {CHROMIUM}; set CHROMIUM to its path")
        pytest.skip(f"there is no Chromium at {CHROMIUM}; set CHROMIUM to its path")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=CHROMIUM_ARGS)
        yield chromium
        chromium.close()
