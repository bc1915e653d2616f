"""The command line, in this process where that is enough and in its own where it matters."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gallery_store.__main__ import main
from gallery_store.store import GalleryStore
from tests.clip_folder import make_clip_folder
from tests.gallery_tools import all_crops, write_pictures

ROOT = Path(__file__).parent.parent
NAMES = ["0001_c1s1_000001_00.jpg", "0002_c3s1_000100_01.jpg", "-1_c3s1_000200_01.jpg"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    return make_clip_folder(folder / "one"), make_clip_folder(folder / "two", seed=1)


@pytest.fixture
def run(tmp_path, clips, monkeypatch, capsys):
    """Runs a command on tmp_path/g.db; -> (exit status, stdout, stderr)."""
    monkeypatch.setenv("CHATREID_GALLERY", str(tmp_path / "g.db"))
    monkeypatch.setenv("CHATREID_CLIP", str(clips[0]))

    def go(*arguments: object) -> tuple[int, str, str]:
        status = main([str(argument) for argument in arguments])
        out = capsys.readouterr()
        return status, out.out, out.err

    return go


def test_import_stats_verify_delete(run, tmp_path):
    source = write_pictures(tmp_path / "in", NAMES)
    (source / "bad.jpg").write_text("x")
    (source / "notes.txt").write_text("x")
    status, out, err = run("import", source, "--json", "--zone", "Europe/Paris")
    result = json.loads(out)
    assert status == 0 and "import: 4 of 4 pictures" in err
    assert (result["added"], result["unchanged"], result["ignored"]) == (3, 0, 1)
    assert [refused["path"] for refused in result["rejected"]] == ["bad.jpg"] and len(result) == 10
    assert json.loads(run("import", source, "--json")[1])["unchanged"] == 3
    stats = json.loads(run("stats", "--json")[1])
    assert (stats["crops"], stats["persons"], stats["zone"]) == (3, 2, "Europe/Paris")
    assert stats["cameras"] == {"1": 1, "3": 2} and stats["tags"] == {"junk": 1}
    assert stats["encoder"][0] == "one" and stats["first"] is None
    verified = json.loads(run("verify", "--json")[1])
    assert verified == {"ok": True, "crops": 3, "problems": [], "collected": 0}
    assert run("delete", "--camera", "cam-03", "--yes", "--json")[1] == '{"deleted": 2}\n'
    assert (
        run("delete", "--path", NAMES[0], "--path", "nowhere.jpg", "--yes", "--json")[1] == '{"deleted": 1}\n'
    )
    assert json.loads(run("stats", "--json")[1])["crops"] == 0
    assert json.loads(run("import", source, "--json")[1])["added"] == 3
    assert run("delete", "--id", 4, "--id", 99, "--yes")[1] == "1 crops deleted\n"
    assert run("delete", "--all", "--yes", "--json")[1] == '{"deleted": 2}\n'


def test_times_of_a_manifest_in_stats(run, tmp_path):
    write_pictures(tmp_path, ["a.jpg", "b.jpg"])
    (tmp_path / "l.csv").write_text("path,time\na.jpg,2025-07-01T14:00\nb.jpg,2025-07-01T16:00+02:00\n")
    assert run("import", tmp_path / "l.csv", "--zone", "Europe/Paris")[0] == 0
    stats = json.loads(run("stats", "--json")[1])
    assert (stats["first"], stats["last"]) == ("2025-07-01T14:00:00+02:00", "2025-07-01T16:00:00+02:00")


def test_verify_says_what_is_wrong_and_exits_1(run, tmp_path):
    run("import", write_pictures(tmp_path / "in", NAMES))
    with GalleryStore.open(tmp_path / "g.db") as store:
        store.crops([2])[0].file.unlink()
    status, out, _ = run("verify")
    assert status == 1 and "crop 2" in out and "does not exist" in out
    assert json.loads(run("verify", "--json")[1])["ok"] is False


def test_another_encoder_is_refused_until_the_reindex(run, tmp_path, clips):
    source = write_pictures(tmp_path / "in", NAMES)
    run("import", source)
    status, out, err = run("import", source, "--clip", clips[1])
    assert status == 2 and out == "" and "python -m gallery_store reindex --gallery" in err
    result = json.loads(run("reindex", "--clip", clips[1], "--json")[1])
    assert (result["encoded"], result["switched"], result["encoder"][0]) == (3, True, "two")
    assert run("import", source, "--clip", clips[1])[0] == 0
    assert run("import", source)[0] == 2
    assert run("verify")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["import", "EMPTY"], "is empty"),
        (["import", "nowhere"], "no file or folder"),
        (["import", "NOPATH.csv"], "no column `path`"),
        (["import", "PICTURE.jpg", "--clip", "./nowhere"], "no CLIP folder"),
        (["import", "PICTURE.jpg", "--zone", "Mars"], "not a time zone"),
        (["stats"], "there is no gallery"),
        (["verify"], "there is no gallery"),
        (["reindex"], "there is no gallery"),
        (["delete", "--all"], "there is no gallery"),
        (["stats", "--gallery", "EMPTY"], "is a folder"),
    ],
)
def test_each_mistake_is_one_error_and_leaves_no_gallery(run, tmp_path, monkeypatch, arguments, reason):
    monkeypatch.chdir(tmp_path)
    Path("EMPTY").mkdir()
    Path("NOPATH.csv").write_text("name\nx.jpg\n")
    write_pictures(tmp_path, ["PICTURE.jpg"])
    status, out, err = run(*arguments, "--json")
    assert (status, out) == (2, "") and err.startswith("error: ") and err.count("\n") == 1
    assert reason in err
    assert not list(tmp_path.glob("g*.media"))


def test_delete_path_means_under_this_path(run, tmp_path, monkeypatch):
    names = ["cam1/a.png", "cam1/b.png", "cam10/a.png", "Cam1/c.png", "cam1.png", "d_m/e.png", "dxm/e.png"]
    source = write_pictures(tmp_path / "in", names)
    run("import", source)

    def left() -> list[str]:
        with GalleryStore.open(tmp_path / "g.db") as store:
            return [crop.path for crop in all_crops(store)]

    assert run("delete", "--path", "cam1/", "--yes") == (0, "2 crops deleted\n", "")
    assert left() == ["Cam1/c.png", "cam1.png", "cam10/a.png", "d_m/e.png", "dxm/e.png"]
    run("delete", "--path", "./d_m", "--path", "cam1.png", "--yes")
    assert left() == ["Cam1/c.png", "cam10/a.png", "dxm/e.png"]
    run("delete", "--path", source / "cam10", "--yes")  # where it was imported from
    assert left() == ["Cam1/c.png", "dxm/e.png"]
    assert run("delete", "--path", " ", "--yes")[0] == 2 and len(left()) == 2
    monkeypatch.chdir(tmp_path)
    assert run("delete", "--path", "in/dxm", "--yes")[0] == 0 and left() == [
        "Cam1/c.png"
    ]  # from where one stands
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run("delete", "--path", ".", "--yes")[0] == 3 and left() == ["Cam1/c.png"]


@pytest.mark.parametrize(
    ("chosen", "named"),
    [
        (("--path", "cam9"), "imported under cam9"),
        (("--id", "77", "--id", "78"), "with the id 77 or 78"),
        (("--camera", "nosuch"), "of camera nosuch"),
    ],
)
def test_nothing_matched_is_a_sentence_and_an_exit_code_of_its_own(run, tmp_path, chosen, named):
    run("import", write_pictures(tmp_path / "in", NAMES))
    status, out, err = run("delete", *chosen, "--yes", "--json")
    assert (status, out) == (3, '{"deleted": 0}\n')
    assert err == f"nothing was deleted: there is no crop {named} in {tmp_path / 'g.db'}\n"


def test_an_import_in_which_everything_was_rejected_does_not_end_well(run, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bad.jpg").write_text("x")
    status, out, err = run("import", tmp_path / "in", "--json")
    assert status == 3 and len(json.loads(out)["rejected"]) == 1
    assert f"no picture of {tmp_path / 'in'} could be imported" in err
    write_pictures(tmp_path / "in", ["good.jpg"])
    assert run("import", tmp_path / "in")[0] == 0 == run("import", tmp_path / "in")[0]


@pytest.mark.slow
def test_output_never_fails_on_a_narrow_encoding(run, tmp_path, clips):
    source = write_pictures(tmp_path / "in", ["Straße 東.png"])
    (source / "schräg.jpg").write_text("x")
    environ = {**os.environ, "PYTHONIOENCODING": "ascii", "CHATREID_GALLERY": str(tmp_path / "g.db")}
    environ["CHATREID_CLIP"] = str(clips[0])

    def narrow(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "gallery_store", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environ)

    done = narrow("import", source, "--camera", "Тор 1")
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert "rejected schr\\xe4g.jpg" in done.stdout
    done = narrow("stats")
    assert done.returncode == 0 and "\\u0422\\u043e\\u0440 1" in done.stdout
    done = narrow("delete", "--path", "Süd", "--yes")
    assert done.returncode == 3 and "S\\xfcd" in done.stderr


def test_nothing_is_deleted_without_a_yes(run, tmp_path, monkeypatch):
    run("import", write_pictures(tmp_path / "in", NAMES))
    status, _, err = run("delete", "--all")
    assert status == 2 and "--yes" in err
    assert json.loads(run("stats", "--json")[1])["crops"] == 3


def test_bad_arguments_exit_2(run):
    for arguments in (["delete"], ["delete", "--id", "1", "--all"], ["import"], ["dance"], []):
        with pytest.raises(SystemExit) as caught:
            run(*arguments)
        assert caught.value.code == 2


def test_help_needs_neither_the_database_nor_numpy():
    script = (
        "import sys\n"
        "from gallery_store.__main__ import main\n"
        "try: main(['import', '--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in 'sqlalchemy numpy PIL tqdm'.split() if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "--camera ID" in done.stdout and done.stdout.splitlines()[-1] == "[]"


def interrupted(arguments: tuple, how: signal.Signals) -> tuple[int, str, str, int]:
    """Send `how` after the first batch; -> (exit status, stdout, rest of stderr, pictures acknowledged)."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error::ResourceWarning", "-m", "gallery_store", *map(str, arguments)],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stderr is not None
    acknowledged = 0
    for line in process.stderr:
        if progress := re.search(r"import: (\d+) of", line):
            acknowledged = int(progress[1])
            process.send_signal(how)
            break
    out, err = process.communicate()
    return process.returncode, out, err, acknowledged


@pytest.mark.slow
def test_a_real_import_killed_then_stopped_is_completed_by_the_next(run, tmp_path):
    source = write_pictures(tmp_path / "in", [f"{n:04}.jpg" for n in range(600)])
    arguments = ("import", source, "--json")
    status, out, _, killed_at = interrupted(arguments, signal.SIGKILL)
    assert (status, out) == (-signal.SIGKILL, "") and killed_at > 0
    assert run("verify")[0] == 0
    had = json.loads(run("stats", "--json")[1])["crops"]
    assert killed_at <= had < 600
    status, out, err, _ = interrupted(arguments, signal.SIGINT)
    stopped = json.loads(out)
    assert status == 130 and "run the same command again" in err and "Warning" not in err
    assert 0 < stopped["added"] + stopped["unchanged"] < 600
    assert run("verify")[0] == 0
    had = json.loads(run("stats", "--json")[1])["crops"]
    last = json.loads(run(*arguments)[1])
    assert (last["added"], last["unchanged"]) == (600 - had, had)
    assert json.loads(run("stats", "--json")[1])["crops"] == 600 and run("verify")[0] == 0


def test_export(run, tmp_path):
    source = write_pictures(tmp_path / "in", NAMES)
    run("import", source)
    status, out, err = run("export", "--to", tmp_path / "out")
    assert (status, out) == (
        0,
        f"3 pictures exported to {tmp_path / 'out'}\n",
    ) and "export: 3 of 3 pictures" in err
    assert run("export", "--to", tmp_path / "out")[0] == 2
    assert json.loads(run("export", "--vectors", tmp_path / "v.parquet", "--json")[1]) == {
        "exported": 3,
        "left_out": [],
    }
    (tmp_path / "file").write_text("x")
    status, _, err = run("export", "--vectors", tmp_path / "file" / "v.parquet")
    assert status == 2 and "cannot be written" in err
