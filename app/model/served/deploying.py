"""Puts the models on a Ray: as many replicas as wanted, batches, health, and which crop goes to which. Imports ray."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import ray
from ray import serve
from ray.serve.config import AutoscalingConfig, HTTPOptions, RequestRouterConfig

from app.model.checkpoint import ModelError
from app.model.served import clip, reid
from app.model.served.replicas import ClipReplica, ReidReplica
from gallery_store.errors import first_line

ROOT = Path(__file__).resolve().parents[3]
# By the header that app.model.served.messages.SESSION names; a replica that comes or goes moves its own share alone.
BY_SESSION = "ray.serve.experimental.consistent_hash_router.ConsistentHashRouter"
SHARES = 4  # sessions for each replica that there may be: the more, the more evenly they lie
TRIES = 3
OBJECT_STORE = 128 << 20  # bytes; the requests themselves do not go through it


@dataclass(frozen=True)
class Replicas:
    """How many there are at least and at most, and what each takes: CPU cores and GPUs, or shares of one.

    together: requests of one replica from which on another one is started, where there may be more.
    """

    least: int = 1
    most: int = 1
    cpus: float = 1.0
    gpus: float = 0.0
    together: float = 8.0

    @property
    def sessions(self) -> int:
        """Among how many sessions the app divides crops."""
        return 1 if self.most == 1 else SHARES * self.most


@dataclass(frozen=True)
class Served:
    """What is deployed. model, clip: as --model and --clip have them; "" for none."""

    model: str
    clip: str
    replicas: Replicas = Replicas()
    clip_replicas: Replicas = Replicas()
    device: str = "auto"
    four_bit: bool = False
    token_bytes: int | None = None


def start_local(cpus: float) -> None:
    """A Ray of this process alone: its processes end with it. Raises ModelError."""
    for number in range(TRIES):
        try:
            ray.init(
                num_cpus=max(1, round(cpus)),
                include_dashboard=False,
                object_store_memory=OBJECT_STORE,
                log_to_driver=False,
                logging_level="ERROR",
            )
            return
        except (
            Exception
        ) as problem:  # it gives its own processes half a minute, which a busy machine may need longer
            ray.shutdown()
            if number + 1 == TRIES:
                raise ModelError(
                    f"no Ray can be started on this machine ({first_line(problem)})"
                ) from problem


def join(address: str) -> None:
    """The cluster whose node this machine is, as `ray start` made it. Raises ConnectionError."""
    ray.init(address=address, log_to_driver=False, logging_level="ERROR")


def deploy(served: Served, host: str, port: int) -> None:
    """Put it there and wait until it answers; what ran there before is replaced without a gap."""
    serve.start(
        proxy_location="EveryNode",
        http_options=HTTPOptions(host=host, port=port),
        logging_config={"log_level": "WARNING", "enable_access_log": False},
    )
    environ = {"env_vars": {"PYTHONPATH": os.pathsep.join(filter(None, _import_paths()))}}
    targets = []
    if served.model:
        own = served.replicas
        made = serve.deployment(ReidReplica).options(
            name="reid",
            **_options(own, environ),
            request_router_config=RequestRouterConfig(request_router_class=BY_SESSION),
        )
        app = made.bind(served.model, served.device, served.four_bit, served.token_bytes, own.sessions)
        targets.append(serve.RunTarget(app, "chatreid-reid", reid.ROUTE))
    if served.clip:
        made = serve.deployment(ClipReplica).options(name="clip", **_options(served.clip_replicas, environ))
        targets.append(serve.RunTarget(made.bind(served.clip, served.device), "chatreid-clip", clip.ROUTE))
    serve.run_many(targets)


def take_away() -> None:
    """Both applications; a Ray Serve that others use too stays."""
    for name in ("chatreid-reid", "chatreid-clip"):
        if name in serve.status().applications:
            serve.delete(name)


def _options(replicas: Replicas, environ: Mapping[str, object]) -> dict[str, object]:
    scaling = AutoscalingConfig(
        min_replicas=replicas.least,
        initial_replicas=replicas.least,
        max_replicas=replicas.most,
        target_ongoing_requests=replicas.together,
    )
    actor = {"num_cpus": replicas.cpus, "num_gpus": replicas.gpus, "runtime_env": environ}
    return {
        "autoscaling_config": scaling,
        "ray_actor_options": actor,
        "max_ongoing_requests": 256,
        "health_check_period_s": 5,
        "health_check_timeout_s": 30,
        "graceful_shutdown_timeout_s": 10,
    }


def _import_paths() -> list[str]:
    """Where replicas find this ChatReID, and what else is found here: the same on every machine of the cluster."""
    return [str(ROOT), os.environ.get("PYTHONPATH", "")]
