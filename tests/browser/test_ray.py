"""The conversation of the browser tests, unchanged, over models on Ray Serve."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.test_conversation import test_the_conversation
from tests.serving import Served, serving

__all__ = ["test_the_conversation"]

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.ray]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served_ray")
    with serving(folder / "data", "--serve", "ray", "--replicas", "2") as server:
        assert "Served at ray://" in server.log.read_text()
        yield server
