"""Filters and similarities against plain, slow oracles."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gallery_store import clock, rows
from gallery_store.crops import Crop, Filters, camera_key
from gallery_store.database import now_text, time_text
from gallery_store.index import pack
from gallery_store.store import GalleryStore

ZONES = ["UTC", "Europe/Paris", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe"]
_CHANGE = datetime(2025, 3, 30, 0, 30, tzinfo=UTC)  # half an hour before Paris turns its clocks
NAMES = [None, "1", "c2", "Cam-02", "front door", "camera 1", "13"]
TAGS = ["junk", "Tall", "tall", "Straße"]
_serial = itertools.count()


def add(store: GalleryStore, entries: list[dict], dim: int = 16, seed: int = 0) -> list[int]:
    """Crops with random unit vectors, straight into the tables; no pictures."""
    ids = []
    vectors = np.random.default_rng(seed).normal(size=(len(entries), dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with store.database.writing() as connection:
        rows.set_encoder(connection, "pixels", "1")
        for entry, vector in zip(entries, vectors, strict=True):
            serial = next(_serial)
            values = {
                "sha256": f"{serial:064x}",
                "camera": entry.get("camera") or "",
                "camera_key": camera_key(entry.get("camera") or ""),
                "time": time_text(entry.get("time")),
                "path": f"{serial}.jpg",
                "file": f"00/{serial:064x}.jpg",
                "linked": False,
                "width": 1,
                "height": 1,
                "imported": now_text(),
            }
            crop_id = rows.add_crop(connection, values, entry.get("tags", ()))
            assert crop_id is not None
            rows.add_vector(connection, crop_id, "pixels", "1", pack(vector))
            ids.append(crop_id)
    store.note_change()
    return ids


def passes(crop: Crop, filters: Filters, zone: ZoneInfo) -> bool:
    """The oracle: the docstring of Filters, one crop at a time."""
    key = camera_key(crop.camera or "")
    if filters.cameras and key not in [camera_key(name) for name in filters.cameras if key]:
        return False
    if filters.not_cameras and (not key or key in [camera_key(name) for name in filters.not_cameras]):
        return False
    if filters.days or filters.after is not None or filters.before is not None:
        if crop.time is None:
            return False
        local = crop.time.astimezone(zone)
        if filters.days and local.date() not in filters.days:
            return False
        now = local.time()
        after = filters.after is None or now >= filters.after
        before = filters.before is None or now < filters.before
        if filters.after is not None and filters.before is not None and filters.after > filters.before:
            if not (after or before):
                return False
        elif not (after and before):
            return False
    if filters.since is not None or filters.until is not None:
        if crop.time is None:
            return False
        wall = crop.time.astimezone(zone).replace(tzinfo=None)
        if (filters.since and wall < filters.since) or (filters.until and wall >= filters.until):
            return False
    have = {tag.casefold() for tag in crop.tags}
    return all(tag.casefold() in have for tag in filters.tags)


moments = st.one_of(
    st.none(),
    st.integers(-4 * 3600, 30 * 3600).map(lambda second: _CHANGE + timedelta(seconds=second)),
    st.integers(-(10**15), 10**15).map(lambda us: _CHANGE + timedelta(microseconds=us)),
)
entries = st.fixed_dictionaries(
    {
        "camera": st.sampled_from(NAMES),
        "time": moments,
        "tags": st.lists(st.sampled_from(TAGS), max_size=3, unique=True),
    }
)
clock_times = st.one_of(st.none(), st.times(), st.integers(0, 23).map(time))
all_filters = st.builds(
    Filters,
    cameras=st.lists(st.sampled_from(["1", "camera 2", "c13", "Front Door", "99", ""]), max_size=2).map(
        tuple
    ),
    not_cameras=st.lists(st.sampled_from(["1", "2", "77"]), max_size=2).map(tuple),
    days=st.lists(st.dates(date(2025, 3, 28), date(2025, 4, 1)), max_size=2).map(tuple),
    after=clock_times,
    before=clock_times,
    since=st.none() | st.datetimes(datetime(2025, 3, 29), datetime(2025, 3, 31)),
    until=st.none() | st.datetimes(datetime(2025, 3, 29), datetime(2025, 3, 31)),
    tags=st.lists(st.sampled_from(["junk", "TALL", "strasse", "none"]), max_size=2).map(tuple),
)


@settings(max_examples=40)
@given(
    st.sampled_from(ZONES),
    st.lists(entries, max_size=12),
    st.lists(entries, max_size=4),
    st.lists(all_filters, min_size=1, max_size=6),
    st.sets(st.integers(0, 20), max_size=4),
)
def test_filters_agree_with_the_oracle(tmp_path_factory, zone, first, later, asked, exclude):
    with GalleryStore.open(tmp_path_factory.mktemp("g") / "g.db", zone=zone) as store:
        ids = add(store, first)
        store.matching(Filters())  # so that the second part is appended to what is in memory
        ids += add(store, later)
        crops = store.crops(ids)
        for filters in asked:
            expected = [
                crop.id for crop in crops if passes(crop, filters, store.zone) and crop.id not in exclude
            ]
            found = store.matching(filters, exclude)
            assert found.dtype == np.int64 and found.tolist() == expected
            counts = store.filter_counts(filters)
            any_hour, any_camera = (
                replace(filters, after=None, before=None),
                replace(filters, cameras=(), not_cameras=()),
            )
            local = [
                c.time.astimezone(store.zone).hour
                for c in crops
                if c.time and passes(c, any_hour, store.zone)
            ]
            assert counts.hours == tuple(local.count(hour) for hour in range(24))
            keys = [camera_key(c.camera or "") for c in crops if passes(c, any_camera, store.zone)]
            assert counts.cameras == {key: keys.count(key) for key in map(camera_key, store.cameras())}
        assert len(store.cameras()) == len({camera_key(c.camera) for c in crops if c.camera})
        assert store.days() == sorted({c.time.astimezone(store.zone).date() for c in crops if c.time})
        assert store.hours() == sorted({c.time.astimezone(store.zone).hour for c in crops if c.time})
        times = [c.time for c in crops if c.time]
        assert store.time_span() == ((min(times), max(times)) if times else None)


def test_after_and_before_meet_at_the_minute_and_wrap_over_midnight(gallery):
    with GalleryStore.open(gallery, zone="Europe/Paris") as store:
        hours = [datetime(2025, 7, 1, hour, tzinfo=ZoneInfo("Europe/Paris")) for hour in (1, 14, 15, 23)]
        one, two, three, night = add(store, [{"time": hour} for hour in hours])
        undated = add(store, [{"time": None}])
        assert store.matching(Filters(after=time(14))).tolist() == [two, three, night]
        assert store.matching(Filters(before=time(15))).tolist() == [one, two]
        assert store.matching(Filters(after=time(14), before=time(15))).tolist() == [two]
        assert store.matching(Filters(after=time(22), before=time(6))).tolist() == [one, night]
        assert store.matching(Filters(days=(date(2025, 7, 1),))).tolist() == [one, two, three, night]
        assert store.matching(Filters()).tolist() == [one, two, three, night, *undated]


@pytest.mark.parametrize("zone", ZONES)
def test_local_columns_agree_with_datetime(zone):
    around = [_CHANGE + timedelta(seconds=step) for step in range(-200_000, 200_000, 997)]
    # Lord Howe turns its clocks in the middle of an hour of UTC.
    around += [datetime(2025, 10, 4, 12, tzinfo=UTC) + timedelta(minutes=step) for step in range(0, 400, 7)]
    times = np.array([moment.replace(tzinfo=None) for moment in around], "datetime64[us]")
    days, clocks = clock.local_columns(times, ZoneInfo(zone))
    for moment, day, us in zip(around, days, clocks, strict=True):
        local = moment.astimezone(ZoneInfo(zone))
        assert clock.day_of(int(day)) == local.date() and us == clock.us_of_day(local.time())


def test_similarities_agree_with_numpy(gallery):
    rng = np.random.default_rng(5)
    with GalleryStore.open(gallery) as store:
        ids = add(store, [{}] * 70, seed=1)
        store.refresh()
        ids += add(store, [{}] * 30, seed=2)
        stored = store.vectors(ids)
        raw = np.concatenate([np.random.default_rng(s).normal(size=(n, 16)) for s, n in ((1, 70), (2, 30))])
        raw /= np.linalg.norm(raw, axis=1, keepdims=True)
        assert stored.dtype == np.float32 and np.abs(stored - raw).max() < 1e-3  # float16 on disk
        assert np.abs(np.linalg.norm(stored, axis=1) - 1).max() < 1e-6
        query = rng.normal(size=(3, 16)).astype(np.float32)
        query /= np.linalg.norm(query, axis=1, keepdims=True)
        found = store.similarities(query)
        assert found.dtype == np.float32 and found.shape == (3, 100)
        assert np.abs(found - query @ stored.T).max() < 1e-6
        for size in (0, 1, 5, 80, 100):  # few ids and many take different ways
            some = rng.choice(ids, size, replace=False)
            expected = query @ stored[np.searchsorted(ids, some)].T
            assert np.abs(store.similarities(query, some) - expected).max(initial=0) < 1e-6
        with pytest.raises(KeyError, match="crop 4711"):
            store.similarities(query, np.array([ids[0], 4711]))
        with pytest.raises(KeyError, match="crop 4711"):
            store.vectors([4711])
        with pytest.raises(ValueError, match="16"):
            store.similarities(query[:, :5])
        with pytest.raises(ValueError, match="q, dim"):
            store.similarities(query[0])


def test_an_empty_gallery_answers(gallery):
    with GalleryStore.open(gallery) as store:
        assert (
            store.matching(Filters()).tolist() == store.matching(Filters(cameras=("1",)), {3}).tolist() == []
        )
        assert store.similarities(np.ones((2, 8), np.float32)).shape == (2, 0)
        assert store.vectors([]).shape == (0, 0)
        assert (store.cameras(), store.days(), store.time_span(), store.encoder()) == ([], [], None, None)
        assert store.refresh() is False


def test_cameras_have_one_name_each_in_natural_order(gallery):
    with GalleryStore.open(gallery) as store:
        add(store, [{"camera": name} for name in ("Gate", "c10", "cam 2", "2", "camera gate", None)])
        assert store.cameras() == ["cam 2", "c10", "Gate"]
        assert len(store.matching(Filters(cameras=("C-02",)))) == 2
        assert len(store.matching(Filters(not_cameras=("2",)))) == 3
