"""What deploy/ tells the commands to do is what they understand."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from app.model.served.__main__ import _parser, replica_bounds
from app.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
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


def test_the_models_are_served_where_the_app_looks():
    models = COMPOSE["services"]["models"]
    script = models["command"][2].replace("$$", "$")
    served = re.search(r"python -m app\.model\.served (.*?) &&", script)
    environ = {name: filled(value) for name, value in models["environment"].items()}
    words = [re.sub(r'"?\$(\w+)"?', lambda found: environ[found[1]], word) for word in served[1].split()]
    options = _parser().parse_args(words)
    assert (options.host, options.port) == ("0.0.0.0", 8000) and replica_bounds(options.replicas) == (1, 2)
    assert (ROOT / options.model).is_dir() and (ROOT / options.clip).is_dir()


def test_every_value_that_is_asked_for_is_in_the_example():
    text = (ROOT / "deploy" / "compose.yaml").read_text("utf-8")
    assert set(re.findall(r"\$\{(\w+)", text)) == set(EXAMPLE)


def test_the_image_has_what_runs_in_it():
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "deploy" / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert all((ROOT / name).exists() for line in copied for name in line.split())


def test_every_link_of_its_page_is_there():
    page = ROOT / "docs" / "deployment.md"
    links = [link for link in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8")) if "://" not in link]
    assert links and all((page.parent / link).exists() for link in links)
