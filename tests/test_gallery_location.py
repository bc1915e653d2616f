"""A gallery is a file or a URL, and what is told of it never has a password; opening says what cannot be opened."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import URL

from gallery_store.__main__ import main
from gallery_store.errors import GalleryError, NoGallery
from gallery_store.location import is_url, location_of, location_shown, short_name
from gallery_store.opening import open_database

PARTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
NAMES = st.text("abcdefgh-_.", min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("data/my.db", "data/my.db"),
        ("/a:b@c/my.db", "/a:b@c/my.db"),
        ("sqlite:////data/my.db", "sqlite:////data/my.db"),
        ("postgresql://host/db", "postgresql://host/db"),
        ("postgresql://host:5432/db", "postgresql://host:5432/db"),
        ("postgresql+psycopg://ann@host/db", "postgresql+psycopg://ann@host/db"),
        (
            "postgresql+psycopg://ann:hunter2@host/db?sslmode=require",
            "postgresql+psycopg://ann:***@host/db?sslmode=require",
        ),
        ("postgresql://ann:hun/ter@2@host/db", "postgresql://ann:***@host/db"),  # which nobody can read
        ("postgresql://:hunter2@/db", "postgresql://:***@/db"),
        (
            "postgresql://host/db?user=ann&password=hunter2&x=1",
            "postgresql://host/db?user=ann&password=***&x=1",
        ),
        ("postgresql://host/db?sslpassword=hunter2", "postgresql://host/db?sslpassword=***"),
        ("nonsense://hunter2:hunter2@x", "nonsense://hunter2:***@x"),
    ],
)
def test_what_is_shown(location, shown):
    assert location_shown(location) == shown


@settings(max_examples=50)
@given(PARTS, PARTS, PARTS, NAMES, st.booleans())
def test_no_password_is_ever_shown(user, before, after, name, is_option):
    password = f"{before}hunter2{after}"
    url = URL.create("postgresql+psycopg", user or "ann", None if is_option else password, "host", 1, name)
    if is_option:
        url = url.update_query_dict({"password": password, "sslmode": "require"})
    shown = location_shown(url.render_as_string(hide_password=False))
    assert "hunter2" not in shown and shown.startswith("postgresql+psycopg://") and name in shown
    raw = f"postgresql+psycopg://ann:{password}@host/{name}"  # as it is typed, with nothing escaped
    assert "hunter2" not in location_shown(raw)


def test_files_and_urls_are_told_apart():
    url = "postgresql+psycopg://ann:hunter2@host/people?pictures=/srv/x.y"
    assert is_url(url) and location_of(url) == url and short_name(url) == "people"
    assert (
        not is_url("my.db")
        and location_of("a/my.db") == Path("a/my.db")
        and short_name(Path("a/my.db")) == "my.db"
    )
    assert short_name("sqlite:///a/my.db") == "my.db"


def told(location: str, **options: bool) -> str:
    with pytest.raises(GalleryError) as refused:
        open_database(location, **options)
    assert "hunter2" not in str(refused.value) and "\n" not in str(refused.value)
    return str(refused.value)


def test_what_cannot_be_opened_is_said_without_the_password(monkeypatch, tmp_path, capsys):
    assert "not a database URL such as postgresql+psycopg" in told("postgresql://ann:hunter2@host:port/db")
    assert "mysql are not supported" in told("mysql://ann:hunter2@host/db")
    with pytest.raises(NoGallery, match=r"there is no gallery .*none\.db: make it with"):
        open_database(tmp_path / "none.db", must_exist=True)
    assert not list(tmp_path.iterdir())
    monkeypatch.setitem(sys.modules, "psycopg", None)  # as where it is not installed
    assert "needs psycopg: `pip install -r requirements-scale.txt`" in told(
        "postgresql://ann:hunter2@host/db"
    )
    monkeypatch.setenv("CHATREID_GALLERY", "postgresql://ann:hunter2@host/db?sslmode=100%25")
    assert main(["stats"]) == 2
    with pytest.raises(SystemExit):
        main(["import", "--help"])
    out, err = capsys.readouterr()
    assert "hunter2" not in out + err and "postgresql://ann:***@host/db" in "".join(out.split())
