"""What commands say on stderr: a bar on a terminal, timed lines in a log, and nothing of it on stdout."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import subprocess
import sys
import warnings

import pytest

from gallery_store.console import progress_bar, quiet, remark, step_progress


class Terminal(io.StringIO):
    """Keeps what is written, and says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(terminal: Terminal) -> list[str]:
    """The lines as they stand on the terminal in the end: what a carriage return draws over is gone."""
    return [line.split("\r")[-1].rstrip() for line in terminal.getvalue().split("\n")]


def test_in_a_log_each_tenth_is_a_timed_line(capsys):
    show = progress_bar("import", "crops")
    for done in [*range(0, 2000, 7), 2000]:
        show(done, 2000)
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == "" and "\r" not in err
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d import: [\d,]+ of 2,000 crops", line) for line in lines)
    counts = [int(line.split()[2].replace(",", "")) for line in lines]
    assert [count // 200 for count in counts] == list(range(1, 11)) and counts[-1] == 2000


def test_a_log_tells_how_fast_and_how_long(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("gallery_store.console.time.monotonic", lambda: now[0])
    show = progress_bar("search", "pairs")
    for seconds, done in ((0, 4000), (2, 6000), (4, 9000), (5.5, 10000)):  # goes on from 4,000
        now[0] = 100 + seconds
        show(done, 10000)
    lines = [line.split("search: ")[1] for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        "4,000 of 10,000 pairs",
        "6,000 of 10,000 pairs, 1,000.0 a second, 00:04 left",
        "9,000 of 10,000 pairs, 1,250.0 a second, 00:00 left",
        "10,000 of 10,000 pairs, 1,090.9 a second, 00:00 left",
    ]


@pytest.mark.parametrize(
    ("total", "calls", "expected"),
    [
        (5, [0, 5], ["5 of 5"]),
        (5, [5], ["5 of 5"]),
        (0, [0], ["0 of 0"]),
        (1000, [0, 1, 99, 100, 101, 950, 1000], ["100 of 1,000", "950 of 1,000", "1,000 of 1,000"]),
    ],
)
def test_few_calls_in_a_log(capsys, total, calls, expected):
    show = progress_bar("search")
    for done in calls:
        show(done, total)
    assert [line.split("search: ")[1] for line in capsys.readouterr().err.splitlines()] == expected


def test_a_second_run_is_like_the_first(capsys):
    show = progress_bar("search", "queries")
    lines = []
    for _ in range(2):
        show(3, 3)
        lines.append(capsys.readouterr().err[len("00:00:00 ") :])
    assert lines == ["search: 3 of 3 queries\n"] * 2


def test_on_a_terminal_one_bar_is_drawn_over_and_closed():
    with contextlib.redirect_stderr(Terminal()) as terminal:
        show = progress_bar("import", "crops")
        for done in range(0, 101, 10):
            show(done, 100)
        text = terminal.getvalue()
        for done in (0, 4):  # a second run
            show(done, 4)
    assert text.count("\n") == 1 and text.endswith("\n") and text.count("\r") > 1
    first, second, rest = shown(terminal)
    assert first.startswith("import: 100%") and "100/100" in first and " crops/s]" in first
    assert second.startswith("import: 100%") and "4/4" in second and rest == ""


def test_each_step_has_a_bar_or_lines_of_its_own(capsys):
    show = step_progress("queries")
    with contextlib.redirect_stderr(Terminal()) as terminal:
        for step, total in (("vectors", 20), ("search", 30)):
            for done in range(0, total + 1, 10):
                show(step, done, total)
    first, second, rest = shown(terminal)
    assert first.startswith("vectors: 100%") and "20/20" in first
    assert second.startswith("search: 100%") and "30/30" in second and rest == ""
    for step in ("vectors", "search"):
        for done in (0, 1, 2):
            show(step, done, 2)
    lines = [line.split(" ", 1)[1] for line in capsys.readouterr().err.splitlines()]
    assert lines == [f"{step}: {done} of 2 queries" for step in ("vectors", "search") for done in (1, 2)]


def test_a_bar_that_grows_ends_at_the_new_end():
    with contextlib.redirect_stderr(Terminal()) as terminal:
        show = progress_bar("reindex")
        show(2, 4)
        show(4, 8)
        assert "\n" not in terminal.getvalue()
        show(8, 8)
    assert shown(terminal)[0].startswith("reindex: 100%") and "8/8" in shown(terminal)[0]


def test_a_remark_stands_above_the_bar_that_is_being_drawn():
    with contextlib.redirect_stderr(Terminal()) as terminal:
        show = progress_bar("import")
        show(1, 2)
        remark("one picture is damaged")
        show(2, 2)
        remark("100% sure: %s")
    first, second, third, rest = shown(terminal)
    assert first == "one picture is damaged" and second.startswith("import: 100%")
    assert (third, rest) == ("100% sure: %s", "")


def test_a_remark_is_one_line_on_stderr_however_often_it_is_set_up(capsys):
    for text in ("first", "second"):
        remark(text)
    out, err = capsys.readouterr()
    assert (out, err) == ("", "first\nsecond\n")


def test_a_bar_that_was_left_open_ends_its_line():
    def stopped_half_way() -> None:
        progress_bar("import")(1, 2)

    with contextlib.redirect_stderr(Terminal()) as terminal:
        stopped_half_way()
        remark("stopped")
    bar, *rest = shown(terminal)
    assert bar.startswith("import:  50%") and rest == ["stopped", ""]


def test_libraries_are_kept_quiet():
    from transformers.utils import logging as transformers_logging

    before = transformers_logging.get_verbosity()
    accelerate = logging.getLogger("accelerate")
    level = accelerate.level
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            quiet()
            warnings.warn("in version 6", FutureWarning, stacklevel=1)
            warnings.warn("look here", UserWarning, stacklevel=1)
        assert [str(warning.message) for warning in caught] == ["look here"]
        assert transformers_logging.get_verbosity() == logging.ERROR
        assert not transformers_logging.is_progress_bar_enabled()
    finally:
        transformers_logging.set_verbosity(before)
        transformers_logging.enable_progress_bar()
        accelerate.setLevel(level)


def test_it_loads_no_model_library():
    script = (
        "import sys, gallery_store.console as console\n"
        "console.progress_bar('import')(1, 1)\n"
        "print([name for name in 'torch transformers accelerate numpy'.split() if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]" and done.stderr.endswith("import: 1 of 1\n")
