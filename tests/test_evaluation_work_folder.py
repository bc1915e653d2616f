"""Who works in an evaluation's folder: locks that a kill frees, shards that do each piece once, plans that agree."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from contextlib import suppress
from itertools import chain
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.evaluation import work_folder
from training.evaluation.work_folder import (
    WHOLE,
    HarnessError,
    Shard,
    Unfinished,
    begin,
    hold,
    require_all,
)

ROOT = Path(__file__).parent.parent


def start(*words):
    """Python in a process of its own, once it has printed its first line, which is returned too."""
    process = subprocess.Popen(
        [sys.executable, *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "."},
        stdout=subprocess.PIPE,
        text=True,
    )
    return process, process.stdout.readline().strip()


def test_a_folder_is_held_by_one_process_until_it_is_killed(tmp_path):
    script = """
        import sys, time
        from pathlib import Path
        from training.evaluation.work_folder import WHOLE, hold
        with hold(Path(sys.argv[1]), WHOLE):
            print("held", flush=True)
            time.sleep(600)
    """
    work = tmp_path / "work"
    process, said = start("-c", textwrap.dedent(script), work)
    try:
        assert said == "held"
        with pytest.raises(HarnessError) as refused, hold(work, WHOLE):
            pass
        assert re.fullmatch(
            rf"{work} is being worked in by another run \(process {process.pid} on .+\): wait .*",
            str(refused.value),
        )
        assert "\n" not in str(refused.value)
        with hold(work, Shard(2, 2)):  # a shard joins
            pass
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    with hold(work, WHOLE), pytest.raises(HarnessError, match="another run"), hold(work, Shard(1, 2)):
        pass


def test_a_shard_is_held_once_and_a_run_does_not_come_between(tmp_path):
    with hold(tmp_path, Shard(2, 3)):
        for other in (Shard(2, 3), Shard(2, 2)):  # of one gallery file
            with pytest.raises(HarnessError, match="another run"), hold(tmp_path, other):
                pass
        with pytest.raises(HarnessError, match="by shard 2 "), hold(tmp_path, WHOLE):
            pass
        with hold(tmp_path, Shard(1, 3)), hold(tmp_path, Shard(3, 3)):
            pass
    with hold(tmp_path, WHOLE):
        pass


def test_a_file_system_without_locks_is_told_and_used(tmp_path, monkeypatch, capsys):
    def acquire(self):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(work_folder.FileLock, "acquire", acquire)
    entered = []
    with hold(tmp_path, WHOLE):
        entered.append(True)
    assert entered and "has no locks" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_told_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(HarnessError, match="cannot be made"), hold(tmp_path / "file" / "work", WHOLE):
        pass


@given(st.integers(0, 50), st.integers(1, 9))
def test_shards_do_each_piece_once(pieces, count):
    parts = [list(Shard(index, count).own(range(pieces))) for index in range(1, count + 1)]
    assert sorted(chain(*parts)) == list(range(pieces))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    galleries = {Shard(index, count).gallery(Path("work")) for index in range(1, count + 1)}
    assert len(galleries) == count and Path("work/gallery.db") in galleries


def test_a_shard_by_its_text():
    assert Shard.parse("2/4") == Shard(2, 4) and str(Shard(2, 4)) == "2/4" and Shard.parse("1/1") == WHOLE
    for text in ("", "2", "0/4", "5/4", "a/4", "1/0", "-1/4", "1/2/3", "1.5/4"):
        with pytest.raises(ValueError, match="shard"):
            Shard.parse(text)


def test_a_plan_is_begun_once(tmp_path):
    work = tmp_path / "work"
    for _ in range(2):
        begin(work, {"queries": 3, "best_choice": (1, 2)})
    assert json.loads((work / "plan.json").read_text()) == {"queries": 3, "best_choice": [1, 2]}
    with pytest.raises(HarnessError, match="another evaluation"):
        begin(work, {"queries": 4})
    (work / "plan.json").write_text("{")
    with pytest.raises(HarnessError, match="another evaluation"):
        begin(work, {"queries": 3})


def test_locks_and_half_written_plans_are_no_other_evaluation(tmp_path):
    (tmp_path / ".lock-2").touch()
    (tmp_path / ".plan.json.123-456.part").write_text('{"que')
    begin(tmp_path, {"queries": 3})
    assert (tmp_path / "plan.json").is_file()
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("mine")
    with pytest.raises(HarnessError, match="not empty"):
        begin(foreign, {"queries": 3})
    assert [file.name for file in foreign.iterdir()] == ["thesis.tex"]


def test_what_is_left_to_others_is_told(tmp_path):
    files = [tmp_path / f"{number}.npz" for number in range(3)]
    files[1].touch()
    with pytest.raises(Unfinished, match=r"shard 1/2 has done its part; .*: 2 of 3 pieces"):
        require_all(files, Shard(1, 2))
    for file in files:
        file.touch()
    require_all(files, Shard(1, 2))


def test_workers_end_with_a_parent_that_was_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent("""
            import multiprocessing, threading, time
            from training.evaluation.workers import _end_with_parent

            def wait():
                threading.Thread(target=_end_with_parent, daemon=True).start()
                time.sleep(600)

            if __name__ == "__main__":
                worker = multiprocessing.get_context("spawn").Process(target=wait)
                worker.start()
                print(worker.pid, flush=True)
                time.sleep(600)
        """)
    )
    parent, said = start(script)
    parent.kill()
    parent.wait()
    assert said.isdecimal()
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(said)).wait(120)  # TimeoutExpired where it lives on
