"""Write-then-rename: what stands under a name is the old file or the new one, never a half."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from gallery_store import files
from gallery_store.files import replacing, replacing_folder, sync_tree, write_file, write_json


def names(folder):
    return sorted(path.name for path in folder.rglob("*"))


def test_bytes_and_text_are_written_and_nothing_else_is_left(tmp_path):
    assert write_file(tmp_path / "new" / "a.bin", b"\x00\xff").read_bytes() == b"\x00\xff"
    assert write_file(tmp_path / "new" / "a.txt", "Ä\n").read_bytes() == "Ä\n".encode()
    assert names(tmp_path) == ["a.bin", "a.txt", "new"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    file = write_file(tmp_path / "a", b"old")
    with pytest.raises(RuntimeError), replacing(file) as partial:
        partial.write_bytes(b"half")
        raise RuntimeError("killed")
    assert file.read_bytes() == b"old" and names(tmp_path) == ["a"]


def test_json_refuses_what_no_reader_would_take(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert names(tmp_path) == []


def test_a_folder_takes_the_place_of_an_older_one_when_it_is_whole(tmp_path):
    for text in ("old", "new"):
        with replacing_folder(tmp_path / "out") as partial:
            (partial / text).write_text(text)
    assert names(tmp_path) == ["new", "out"]
    with pytest.raises(RuntimeError), replacing_folder(tmp_path / "out") as partial:
        (partial / "half").write_text("half")
        raise RuntimeError("killed")
    assert names(tmp_path) == ["new", "out"]


def test_a_folder_that_a_kill_left_between_two_names_comes_back(tmp_path):
    """Killed when the older folder was out of the way and the new one did not have its name yet."""
    with replacing_folder(tmp_path / "out") as partial:
        (partial / "old").write_text("old")
    (tmp_path / "out").rename(tmp_path / ".out.old")
    (tmp_path / ".out.part").mkdir()
    (tmp_path / ".out.part" / "new").write_text("half")
    with pytest.raises(RuntimeError), replacing_folder(tmp_path / "out"):
        raise RuntimeError("again")
    assert names(tmp_path) == ["old", "out"]


def test_a_folder_that_cannot_take_the_name_leaves_the_old_one(tmp_path, monkeypatch):
    with replacing_folder(tmp_path / "out") as partial:
        (partial / "old").write_text("old")
    rename = Path.replace

    def refuse_the_new(path, target):
        if path.name.endswith(".part"):
            raise OSError("no room")
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", refuse_the_new)
    with pytest.raises(OSError, match="no room"), replacing_folder(tmp_path / "out") as partial:
        (partial / "new").write_text("new")
    assert names(tmp_path) == ["old", "out"]


def test_a_reader_sees_whole_files_while_threads_write(tmp_path):
    file = write_file(tmp_path / "a", b"x" * 100_000)
    done = threading.Event()
    seen, faults = set(), []

    def write(letter: bytes) -> None:
        try:
            for _ in range(20):
                write_file(file, letter * 100_000)
        except BaseException as fault:
            faults.append(fault)

    def read() -> None:
        while not done.is_set():
            data = file.read_bytes()
            seen.add((len(data), len(set(data))))

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b")]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert not faults and seen == {(100_000, 1)} and names(tmp_path) == ["a"]


def test_what_is_below_a_folder_is_synced_names_and_all(tmp_path, monkeypatch):
    write_file(tmp_path / "sub" / "a", b"x")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    synced = []
    monkeypatch.setattr(files, "_sync", lambda path: synced.append(path.name))
    sync_tree(tmp_path)
    assert synced == [tmp_path.name, "sub", "a"]


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for text in ("old", "new"):
        with replacing_folder(tmp_path / "link") as partial:
            (partial / text).write_text(text)
    assert (tmp_path / "link").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["new"]
