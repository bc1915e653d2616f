"""Write-then-rename: what stands under a name is the old file or the new one, never a half."""

import pytest

from gallery_store.files import replacing, replacing_folder, write_file, write_json


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
