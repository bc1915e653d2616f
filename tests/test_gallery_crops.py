"""How cameras compare, and what Filters accept."""

from __future__ import annotations

from datetime import UTC, time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gallery_store.crops import Filters, camera_key


@pytest.mark.parametrize(
    "name",
    [
        "3",
        "03",
        "c3",
        "C03",
        "cam3",
        "Cam-03",
        "cam_3",
        "camera 3",
        "CAMERA #3",
        "Camera no. 3",
        "camera c3",
        "３",
        " 3 ",
    ],
)
def test_ways_to_say_camera_3(name):
    assert camera_key(name) == "3"


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("", ""),
        ("  ", ""),
        ("0", "0"),
        ("000", "0"),
        ("Camera: Front-Door", "front door"),
        ("front door", "front door"),
        ("c3b", "c3b"),
        ("corridor", "corridor"),
        ("camera", "camera"),
        ("Straße 5", "strasse 5"),
        ("#", "#"),
        ("30", "30"),
    ],
)
def test_other_names(name, key):
    assert camera_key(name) == key


@settings(max_examples=300)
@given(
    st.one_of(
        st.text(max_size=20), st.from_regex(r"(camera |cam|c|no )*[ #_-]*[0-9a-c]{0,6}", fullmatch=True)
    )
)
def test_the_key_of_a_key_is_itself(name):
    assert camera_key(camera_key(name)) == camera_key(name)


@given(
    st.integers(0, 10**12),
    st.sampled_from(["{}", "c{}", "cam{}", "Cam-{}", "camera {}", "CAMERA_{}", "c0{}"]),
)
def test_a_number_is_its_own_key_however_it_is_written(number, way):
    assert camera_key(way.format(number)) == str(number)


def test_filters_are_hashable_and_know_when_they_are_empty():
    assert Filters().is_empty and hash(Filters()) == hash(Filters(cameras=[]))  # type: ignore[arg-type]
    for given_one in (Filters(cameras=("1",)), Filters(after=time(0)), Filters(tags=("x",))):
        assert not given_one.is_empty
    assert Filters(cameras=["1"]) == Filters(cameras=("1",))  # type: ignore[arg-type]


def test_filters_refuse_what_would_be_misread():
    with pytest.raises(ValueError, match="cameras"):
        Filters(cameras="12")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="without a zone"):
        Filters(after=time(14, tzinfo=UTC))
