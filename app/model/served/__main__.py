"""`python -m app.model.served`: the models on Ray Serve, for apps that are started with --model ray://HOST:PORT."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from app.model.checkpoint import ModelError
from app.model.reid_model import ReidModel
from app.model.served.connection import PORT, Connection
from app.settings import NO_MODEL, Settings, SettingsError
from gallery_store.console import remark

READY = "ready"  # on standard output, or why not


def main(argv: Sequence[str] | None = None) -> int:
    """Exit 2 with one sentence where it cannot be."""
    options = _parser().parse_args(argv)
    try:
        return _run(options)
    except (ModelError, SettingsError) as problem:
        print(f"chatreid: {problem}", flush=True)
        return 2


def _run(options: argparse.Namespace) -> int:
    least, most = replica_bounds(options.replicas)
    clip_least, clip_most = replica_bounds(options.clip_replicas)
    model, clip = map(_findable, (options.model, options.clip))
    if options.local:
        _require_free(options.host, options.port)
        if model:
            ReidModel.load(model)  # what can be seen at once is said before a Ray is started
    try:
        from app.model.served import deploying
    except ImportError as problem:
        raise ModelError(
            f"Ray is not installed ({problem}); `pip install -r requirements-scale.txt` brings it"
        ) from None
    four_bit, tokens = options.four_bit, Settings(token_cache=options.token_cache).token_cache_bytes
    own = deploying.Replicas(least, most, options.cpus, options.gpus)
    clips = deploying.Replicas(clip_least, clip_most, options.clip_cpus, options.clip_gpus)
    served = deploying.Served(model, clip, own, clips, options.device, four_bit, tokens)
    if options.local:
        deploying.start_local(max(os.cpu_count() or 1, most * own.cpus + clip_most * clips.cpus))
    else:
        try:
            _require_answer(options.address)
            deploying.join(options.address)
        except (OSError, ValueError, RuntimeError) as problem:
            why = " ".join(str(problem).split())[:200]
            raise ModelError(
                f"there is no Ray at {options.address} that this machine belongs to ({why}); start one with "
                "`ray start --head`, or join one with `ray start --address=HOST:6379`"
            ) from None
    if options.stop:
        deploying.take_away()
        return 0
    deploying.deploy(served, options.host, options.port)
    here = f"{'127.0.0.1' if options.host == '0.0.0.0' else options.host}:{options.port}"
    for name, route in ((model, "/reid"), (clip, "/clip")):
        if name:
            Connection(here, route).about()  # says what is wrong with it
    remark(f"Served at ray://{here}: {', '.join(filter(None, (model, clip)))}")
    print(READY, flush=True)
    if options.local:
        _wait()
    return 0


def _findable(name: str) -> str:
    """A folder by its whole path, for processes elsewhere; "" for none."""
    if name == NO_MODEL:
        return ""
    return str(Path(name).resolve()) if Path(name).is_dir() else name


def replica_bounds(text: str) -> tuple[int, int]:
    """ "2" or "1-4": how many replicas at least and at most. Raises SettingsError."""
    least, _, most = text.partition("-")
    try:
        bounds = int(least), int(most or least)
    except ValueError:
        bounds = (0, 0)
    if not 1 <= bounds[0] <= bounds[1]:
        raise SettingsError(f"{text!r} is no number of replicas; give one such as 2, or bounds such as 1-4")
    return bounds


def _wait() -> None:
    """Until Ctrl+C, or until whoever started it is gone."""
    over = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: over.set())
    if not sys.stdin.isatty():

        def until_it_ends() -> None:
            sys.stdin.read()
            over.set()

        threading.Thread(target=until_it_ends, daemon=True).start()
    over.wait()


def _require_answer(address: str) -> None:
    """Ray itself tries for minutes. Raises OSError where nobody listens at HOST:PORT, ValueError for no address."""
    host, colon, port = address.rpartition(":")
    if colon:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()


def _require_free(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as problem:
            raise ModelError(
                f"port {port} on {host} cannot be listened on ({problem.strerror}); give another --port"
            ) from None


def _parser() -> argparse.ArgumentParser:
    ours = Settings()
    parser = argparse.ArgumentParser(
        prog="python -m app.model.served",
        description="Serve the models on Ray Serve, for apps with --model ray://HOST:PORT and --clip ray://HOST:PORT.",
    )
    add = parser.add_argument
    add("--address", default="auto", help="Ray cluster that this machine belongs to (default: auto)")
    add("--local", action="store_true", help="start a Ray on this machine, and end it with this command")
    add("--stop", action="store_true", help="take the models away again")
    add(
        "--host",
        default="127.0.0.1",
        help="address that Ray Serve listens on, on each node (default: 127.0.0.1)",
    )
    add("--port", type=int, default=PORT, help=f"its port (default: {PORT})")
    add("--model", default=ours.model, help="as app.py has it; none for CLIP alone")
    add("--clip", default=ours.clip, help="as app.py has it; none for the model alone")
    add(
        "--replicas",
        default="1",
        help="of the model: a number, or bounds for autoscaling such as 1-4 (default: 1)",
    )
    add("--clip-replicas", default="1", help="of CLIP (default: 1)")
    add("--cpus", type=float, default=1.0, help="cores of each replica of the model (default: 1)")
    add("--gpus", type=float, default=0.0, help="GPUs of each, or a share such as 0.5 (default: 0)")
    add("--clip-cpus", type=float, default=1.0, help="cores of each replica of CLIP (default: 1)")
    add("--clip-gpus", type=float, default=0.0, help="GPUs of each, or a share (default: 0)")
    add("--device", default="auto", help="cpu, cuda, or auto for the best that a replica has")
    add("--four-bit", action="store_true", help="load the model in 4 bit (NF4)")
    add("--token-cache", default="", help="memory of each replica for what it saw of pictures, such as 8GB")
    return parser


if __name__ == "__main__":
    sys.exit(main())
