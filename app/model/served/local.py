"""A Ray Serve of the app's own: a process beside it that ends when the app does, however that ends."""

from __future__ import annotations

import atexit
import os
import secrets
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from app.model.checkpoint import ModelError
from app.model.served.__main__ import READY
from app.model.served.connection import SCHEME

ROOT = Path(__file__).resolve().parents[3]
_SECONDS = 60.0  # that an orderly end may take


@dataclass(frozen=True)
class LocalServe:
    """A running one. address: ray://127.0.0.1:PORT."""

    address: str
    process: subprocess.Popen[str]

    def end(self) -> None:
        """In order, with all that it started; at the latest when this process ends."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(
    *, model: str, clip: str, replicas: str, device: str, four_bit: bool, token_cache: str, cpus: float = 1.0
) -> LocalServe:
    """The models, when they answer; their words go to standard error.

    The arguments are those of `python -m app.model.served`; on a GPU the replicas share what there is.

    Raises ModelError.
    """
    port = _free_port()
    wanted = {
        "--port": str(port),
        "--model": model,
        "--clip": clip,
        "--replicas": replicas,
        "--device": device.partition(":")[0],
        "--token-cache": token_cache,
        "--cpus": str(cpus),
        "--clip-cpus": str(cpus),
        **_shares(replicas, device),
    }
    command = [sys.executable, "-m", "app.model.served", "--local"]
    command += [word for pair in wanted.items() if pair[1] for word in pair]
    # Whoever else is on this machine does not get in, and nothing is written into anybody's home.
    environ = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    process = subprocess.Popen(
        command + ["--four-bit"] * four_bit,
        env=environ,
        stdin=subprocess.PIPE,  # its end is the end of this process
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl+C is the app's, which ends it in order
    )
    served = LocalServe(f"{SCHEME}127.0.0.1:{port}", process)
    atexit.register(served.end)
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        if line.strip() == READY:
            break
        said = line.strip().removeprefix("chatreid: ") or said
    else:
        served.end()
        raise ModelError(said or "the Ray that was started for the models ended before it was ready")
    return served


def _shares(replicas: str, device: str) -> dict[str, str]:
    """Of the GPUs, for each replica of the model and the one of CLIP."""
    if not device.startswith("cuda"):
        return {}
    import torch

    most = int(replicas.rpartition("-")[2])
    share = str(min(1.0, torch.cuda.device_count() / (most + 1)))
    return {"--gpus": share, "--clip-gpus": share}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
