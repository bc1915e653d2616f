"""Runs the app as a user does, in a process of its own, for tests, screenshots and benchmarks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[1]
CHILDREN = 120  # seconds that what the app started may take to end after it, on a loaded machine
PATIENCE = (
    600  # seconds until a start, with its import, counts as failed; far above the goal, for loaded machines
)


@dataclass(frozen=True)
class Served:
    """A running app. url ends in "/"; seconds: from start until the port answered; log: its stderr so far."""

    url: str
    data: Path
    seconds: float
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    @property
    def owner_url(self) -> str:
        """The address that makes a browser the owner's: it alone imports folders."""
        return next(word for word in self.log.read_text().split() if "/?owner=" in word)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(data: Path, *argv: str, port: int = 0) -> Iterator[Served]:
    """`python app.py --data DATA --port FREE ...`, ready; ended when the block is left.

    The caller's CHATREID_* variables do not count. RuntimeError with the app's words when it does not start.
    """
    data.mkdir(parents=True, exist_ok=True)
    port, log = port or free_port(), data / "app.log"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CHATREID_")}
    command = [sys.executable, "app.py", "--data", str(data), "--port", str(port), *argv]
    began = time.monotonic()
    with log.open("w") as words:
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=words, stderr=words)
    try:
        _wait(process, f"http://127.0.0.1:{port}/", log)
        yield Served(f"http://127.0.0.1:{port}/", data, time.monotonic() - began, log, process)
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """It, and with it the Ray that it may have started. RuntimeError where that outlives it, which is killed."""
    try:
        started = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        started = []
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _, left = psutil.wait_procs(started, timeout=CHILDREN)
    for one in left:
        one.kill()
    if left:
        raise RuntimeError(f"{len(left)} processes that the app started did not end with it: {left}")


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the app ended with {process.returncode}:\n{log.read_text()[-3000:]}")
        try:
            if httpx.get(url, timeout=5).status_code == 200 and "/?owner=" in log.read_text():
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError(f"the app did not answer within {PATIENCE} s:\n{log.read_text()[-3000:]}")
