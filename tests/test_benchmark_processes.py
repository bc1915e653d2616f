"""What benchmarks count as an app's: the processes that it started too."""

from __future__ import annotations

import subprocess
import sys

from tests.benchmarks.processes import family, memory, memory_by_kind, processor, taken, told

_BELOW = """
import sys
held = bytearray(100_000_000)
for _ in sys.stdin:
    total = sum(range(20_000_000))
    print("done", flush=True)
"""
_ABOVE = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"


def test_what_a_process_started_counts_with_it():
    command = [sys.executable, "-c", _ABOVE, _BELOW]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None

        def work() -> None:
            print("go", file=process.stdin, flush=True)
            assert process.stdout.readline() == "done\n"

        work()
        before = processor(process.pid)
        assert len(list(family(process.pid))) == len(before) == 2
        work()
        assert taken(before, processor(process.pid)) > 0.05  # of the one below
        assert 100 < memory(process.pid) < 200
        (sizes,) = memory_by_kind(process.pid).values()
        assert len(sizes) == 2 and sizes[1] > 100 > sizes[0] > 0
        process.stdin.close()


def test_few_are_told_one_by_one_and_many_together():
    assert told({"app": [300.4], "reid": [600.0, 610.0]}) == "app 300, reid 600 + 610"
    assert told({"Ray itself": [10.0] * 5}) == "Ray itself 50"
