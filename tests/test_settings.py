"""Settings: environment under command line, nonsense refused, nothing listens openly by accident."""

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from app.settings import ROOT, Settings, SettingsError

PYTHON = sys.executable


def parse(*argv: str, **environ: str) -> Settings:
    return Settings.parse(argv, environ)


def test_the_command_line_wins_over_the_environment() -> None:
    settings = parse("--port", "8001", CHATREID_PORT="8000", CHATREID_K="9")
    assert (settings.port, settings.k) == (8001, 9)


def test_defaults() -> None:
    settings = parse()
    assert (settings.host, settings.port, settings.four_bit, settings.tau) == ("127.0.0.1", 7860, False, None)
    assert settings.gallery_location == str(ROOT / "data" / "gallery.db")
    assert settings.is_default_gallery


def test_the_default_gallery_lies_in_the_data_folder() -> None:
    assert parse("--data", "/x/y").gallery_location == str(Path("/x/y/gallery.db"))
    named = parse("--data", "/x/y", CHATREID_GALLERY="mine.db")
    assert named.gallery_location == "mine.db"
    assert not named.is_default_gallery


@pytest.mark.parametrize(
    "text, size",
    [
        ("", None),
        ("8GB", 8_000_000_000),
        ("500 mb", 500_000_000),
        ("1.5gb", 1_500_000_000),
        ("0", 0),
        ("0MB", 0),
    ],
)
def test_the_token_cache_s_size(text: str, size: int | None) -> None:
    assert parse("--token-cache", text).token_cache_bytes == size


@pytest.mark.parametrize("text, value", [("1", True), ("yes", True), ("False", False), ("off", False)])
def test_switches_in_the_environment(text: str, value: bool) -> None:
    assert parse(CHATREID_FOUR_BIT=text).four_bit is value


def test_a_switch_can_be_turned_off_on_the_command_line() -> None:
    assert parse("--no-four-bit", CHATREID_FOUR_BIT="true").four_bit is False


@pytest.mark.parametrize(
    "argv, word",
    [
        (["--port", "0"], "--port"),
        (["--port", "70000"], "--port"),
        (["--port", "http"], "--port"),
        (["--k", "0"], "--k"),
        (["--k", "1.5"], "--k"),
        (["--index", "disk"], "--index .* memory, database, auto"),
        (["--ranker", "oracle"], "--ranker .* clip, pairwise, best-choice, fused"),
        (["--ranker", "pairwise", "--model", "none"], "--ranker pairwise .* --model is none"),
        (["--tau", "2"], "--tau"),
        (["--tau", "nan"], "--tau"),
        (["--zone", "Mars/Base"], "--zone"),
        (["--zone", "../../etc/passwd"], "--zone"),
        (["--device", "gpu"], "--device"),
        (["--model", " "], "--model"),
        (["--session-hours", "0"], "--session-hours"),
        (["--max-upload-mb", "0"], "--max-upload-mb"),
        (["--login", "justaname"], "--login"),
        *((["--token-cache", size], "--token-cache") for size in ("8", "GB", "8TB", "1.5.2GB", "8 G", ".GB")),
    ],
)
def test_nonsense_is_refused_by_name(argv: list[str], word: str) -> None:
    with pytest.raises(SettingsError, match=word) as caught:
        parse(*argv)
    assert "\n" not in str(caught.value)


def test_clip_alone_needs_no_model_and_a_ranker_may_come_from_the_environment() -> None:
    alone = parse("--model", "none")
    assert not alone.has_model and alone.is_offline and alone.ranker == ""
    assert parse("--model", "none", "--ranker", "clip").ranker == "clip"
    assert parse(CHATREID_RANKER="best-choice").ranker == "best-choice" and parse().has_model


def test_a_wrong_switch_in_the_environment_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match="CHATREID_FOUR_BIT"):
        parse(CHATREID_FOUR_BIT="perhaps")


def test_a_re_id_encoder_is_named_and_unnamed() -> None:
    assert (parse().reid, parse("--reid", "market.pt").reid) == ("", "market.pt")
    assert parse(CHATREID_REID="resnet50=market.pth").reid == "resnet50=market.pth"
    assert parse("--reid", "none", CHATREID_REID="market.pt").reid == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "example.org"])
def test_another_address_needs_a_login(host: str) -> None:
    with pytest.raises(SettingsError, match="--login"):
        parse("--host", host)
    assert not parse("--host", host, "--login", "ann:secret").is_local


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_this_machine_needs_none(host: str) -> None:
    assert parse("--host", host).is_local


def test_proxies_are_named_by_their_names_alone() -> None:
    assert parse("--trusted-host", "Reid.Example.org, [::1],").trusted_hosts == {"reid.example.org", "::1"}
    assert (
        parse(CHATREID_TRUSTED_HOST="a,b").trusted_hosts == {"a", "b"}
        and parse().trusted_hosts == frozenset()
    )
    for wrong in ("https://reid.example.org", "reid.example.org:443", "reid.example.org/x", "*", "a b"):
        with pytest.raises(SettingsError, match="--trusted-host"):
            parse("--trusted-host", wrong)


@pytest.mark.parametrize("path", ["reid", "/", "/reid/", "//reid", "/re id", "http://x/reid", "/a?b"])
def test_a_sub_path_begins_with_a_slash_and_ends_without(path: str) -> None:
    with pytest.raises(SettingsError, match="--root-path"):
        parse("--root-path", path)
    assert parse("--root-path", "/reid/two").root_path == "/reid/two" and parse().root_path == ""


def test_a_login_file(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text("# who may search\nann:s:e:c\n\nbob:other\n")
    assert parse("--login", str(file)).users == {"ann": "s:e:c", "bob": "other"}
    file.write_text("# nobody\n")
    with pytest.raises(SettingsError, match="no user:password"):
        parse("--login", str(file))


def test_a_refused_password_is_not_shown() -> None:
    with pytest.raises(SettingsError) as caught:
        parse("--login", ":hunter2")
    assert "hunter2" not in str(caught.value)


def run_app(*argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PYTHON, "app.py", *argv],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_help_lists_every_setting_with_its_variable() -> None:
    shown = run_app("--help")
    assert shown.returncode == 0
    for f in fields(Settings):
        assert f"--{f.name.replace('_', '-')}" in shown.stdout
        assert f"CHATREID_{f.name.upper()}" in "".join(shown.stdout.split())


@pytest.mark.parametrize("argv", [["--port", "0"], ["--host", "0.0.0.0"], ["--zone", "Mars/Base"]])
def test_the_app_says_one_sentence_and_exits_2(argv: list[str]) -> None:
    ended = run_app(*argv)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith("chatreid: ") and ended.stderr.count("\n") == 1


def test_a_reason_is_optional_or_required() -> None:
    assert [parse().needs_reason, parse(CHATREID_REASON="required").needs_reason] == [False, True]
    assert not parse("--reason", "optional", CHATREID_REASON="required").needs_reason
    with pytest.raises(SettingsError, match="--reason is 'always'; give optional or required"):
        parse("--reason", "always")
