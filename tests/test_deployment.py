"""What deploy/ tells the commands to do is what they understand."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml

from app.model.served import clip
from app.model.served.__main__ import _parser, replica_bounds
from app.settings import Settings
from gallery_store import __main__ as gallery_commands

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
COPIES = [line.split() for line in re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE)]  # [*from, to]
COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text("utf-8"))
EXAMPLE = dict(
    line.split("=", 1)
    for line in (ROOT / "deploy" / "example.env").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
)


def filled(text: str) -> str:
    """A value of the compose file as it is with the example's environment."""
    return re.sub(r"\$\{(\w+)(?::[-?][^}]*)?\}", lambda found: EXAMPLE[found[1]] or "secret", text)


def test_the_app_understands_its_settings(tmp_path):
    (tmp_path / "login").write_text("ana:word\n")
    command = [filled(word) for word in COMPOSE["services"]["app"]["command"]]
    assert command[:2] == ["python", "app.py"]
    words = [word.replace("/run/secrets/login", str(tmp_path / "login")) for word in command[2:]]
    settings = Settings.parse(words, {})
    assert settings.trusted_hosts == {"reid.example.org"} and set(settings.users) == {"ana"}
    assert settings.model == settings.clip == "ray://models:8000" and settings.is_offline


def script_of_models() -> str:
    return COMPOSE["services"]["models"]["command"][2].replace("$$", "$")


def test_the_models_are_served_where_the_app_looks():
    models, script = COMPOSE["services"]["models"], script_of_models()
    served = re.search(r"python -m app\.model\.served (.*?) &&", script)
    environ = {name: filled(value) for name, value in models["environment"].items()}
    words = [re.sub(r'"?\$(\w+)"?', lambda found: environ[found[1]], word) for word in served[1].split()]
    options = _parser().parse_args(words)
    assert (options.host, options.port) == ("0.0.0.0", 8000) and replica_bounds(options.replicas) == (1, 2)
    assert (ROOT / options.model).is_dir() and (ROOT / options.clip).is_dir()


def test_every_value_that_is_asked_for_is_in_the_example():
    text = (ROOT / "deploy" / "compose.yaml").read_text("utf-8")
    assert set(re.findall(r"\$\{(\w+)", text)) == set(EXAMPLE)


def test_services_find_each_other():
    services = COMPOSE["services"]
    for service in services.values():
        needed = service.get("depends_on", {})
        for name in needed:
            assert name in services
            if isinstance(needed, dict) and needed[name]["condition"] == "service_healthy":
                assert "healthcheck" in services[name]
        for volume in service.get("volumes", []):
            source = filled(volume).split(":")[0]
            assert source in COMPOSE["volumes"] or source.startswith((".", "/"))
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
    app = dict(word.removeprefix("--").split("=", 1) for word in services["app"]["command"][2:])
    gallery, database = sa.make_url(app["gallery"]), services["postgres"]["environment"]
    assert gallery.host in services and gallery.query["pictures"] == app["data"] == "/data"
    assert (gallery.username, gallery.database) == (database["POSTGRES_USER"], database["POSTGRES_DB"])
    assert services["app"]["environment"]["PGPASSWORD"] == database["POSTGRES_PASSWORD"]
    storage = sa.make_url(EXAMPLE["AWS_ENDPOINT_URL"])
    assert storage.host in services and storage.port == 9000  # MinIO's own
    assert services["proxy"]["command"].split()[-1] == f"app:{Settings().port}"
    assert {name.split("=")[1] for name in DOCKERFILE.split() if name.startswith("PYTHONPATH=")} == {
        re.search(r"^WORKDIR (\S+)$", DOCKERFILE, re.MULTILINE)[1]
    }


def test_the_models_are_well_when_they_answer():
    program, option, code = COMPOSE["services"]["models"]["healthcheck"]["test"][1:]
    assert (program, option) == ("python", "-c")
    compile(code, "healthcheck", "exec")
    assert (
        f"post('http://127.0.0.1:8000{clip.ROUTE}/about')" in code
    )  # what an app asks first, as Connection.about


def test_the_gallery_is_filled_as_the_page_says():
    page = (ROOT / "docs" / "deployment.md").read_text("utf-8").replace("\\\n", " ")
    (line,) = re.findall(r"docker compose run .* app python -m gallery_store (import .*)", page)
    chosen = gallery_commands._parser().parse_args(shlex.split(line))
    app = next(word for word in COMPOSE["services"]["app"]["command"] if word.startswith("--gallery="))
    assert f"--gallery={chosen.gallery}" == app


@pytest.mark.slow
def test_the_image_has_what_runs_in_it(tmp_path):
    """Its folder, without Docker: every module there is imported from there, and each command answers."""
    image, ignored = tmp_path / "chatreid", (ROOT / ".dockerignore").read_text("utf-8").split()
    image.mkdir()
    for *names, target in COPIES:
        for name in names:
            assert name not in ignored and (ROOT / name).exists()
            if (ROOT / name).is_dir():
                ignore = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / name, image / target, ignore=ignore)
            else:
                shutil.copy(ROOT / name, image / target)
    imports = """
import importlib, pkgutil, sys
from gallery_store.torchvision_mend import mend_torchvision
mend_torchvision()
for package in ("app", "gallery_store"):
    for found in pkgutil.walk_packages([package], f"{package}."):
        if found.name in sys.argv[1:] or found.name.endswith("__main__"):
            continue
        module = importlib.import_module(found.name)
        assert module.__file__.startswith(sys.path[0]), module.__file__
print("all")
"""
    (image / "every.py").write_text(imports)
    needs_ray = ["app.model.served.replicas", "app.model.served.deploying"]
    for command in (
        ["every.py", *needs_ray],
        ["app.py", "--help"],
        ["-m", "app.model.served", "--help"],
        ["-m", "gallery_store", "import", "--help"],
    ):
        environ = {**os.environ, "PYTHONPATH": str(image)}
        done = subprocess.run(
            [sys.executable, *command], cwd=image, env=environ, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert done.stdout.strip() == "all" or "usage: " in done.stdout


def test_every_link_of_its_page_is_there():
    page = ROOT / "docs" / "deployment.md"
    links = [link for link in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8")) if "://" not in link]
    assert links and all((page.parent / link).exists() for link in links)
