"""The container files against Ray's own commands."""

from __future__ import annotations

import re
import shlex

import pytest
from ray.scripts import scripts as ray

from tests.test_deployment import script_of_models

pytestmark = pytest.mark.ray


def test_ray_takes_what_it_is_started_with():
    words = shlex.split(re.search(r"ray (start .*?) &&", script_of_models())[1])
    ray.start.make_context("ray start", words[1:])  # fails for what it does not know
