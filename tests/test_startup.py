"""From settings to an engine: who ranks, and what is said of it on the screen's first lines."""

import os
import platform
import subprocess
import sys

import pytest

from app.model.checkpoint import CheckpointManifest
from app.retrieval.query import Query
from app.settings import Settings
from app.startup import open_engine
from gallery_store.encoder import ClipEncoder
from gallery_store.importer import import_crops
from gallery_store.store import GalleryStore
from tests.clip_folder import make_clip_folder
from tests.serving import free_port
from tests.tiny_qwen import noise_picture, tiny_folder


@pytest.fixture(scope="module")
def where(tmp_path_factory):
    """A toy CLIP, a gallery of four crops, and the toy Qwen2-VL as if calibrated with another CLIP."""
    folder = tmp_path_factory.mktemp("start")
    clip = make_clip_folder(folder / "clip")
    (folder / "crops").mkdir()
    for number in range(4):
        noise_picture(number).save(folder / "crops" / f"{number}.png")
    with GalleryStore.open(folder / "gallery.db") as store:
        import_crops(store, ClipEncoder.load(clip), folder / "crops")
    (folder / "tuned").mkdir()
    for file in tiny_folder().iterdir():
        (folder / "tuned" / file.name).symlink_to(file)
    CheckpointManifest("tuned", "tiny", calibrations={"another@1": {}}).write(folder / "tuned")
    return folder


@pytest.mark.parametrize(
    ("model", "ranker", "used", "said"),
    [
        ("none", "", "clip", "Ranked by clip.\n"),
        ("tuned", "", "clip", "so CLIP alone ranks; --ranker fused lets the model rank too, uncalibrated.\n"),
        ("tuned", "pairwise", "pairwise", "Ranked by pairwise.\n"),
    ],
)
def test_who_ranks_is_said_at_the_start(where, tmp_path, capsys, model, ranker, used, said):
    settings = Settings(
        data=str(tmp_path),
        gallery=str(where / "gallery.db"),
        clip=str(where / "clip"),
        model=model if model == "none" else str(where / model),
        ranker=ranker,
        device="cpu",
    )
    engine = open_engine(settings)
    try:
        assert engine.ranker.name == used and (engine.model is None) == (model == "none")
        assert said in capsys.readouterr().err
        ranking = engine.search(Query(text="somebody"))
        assert ranking.scored == (4 if used == "pairwise" else 0)
        assert [candidate.probability for candidate in ranking.candidates] == [None] * 4
    finally:
        engine.store.close()


def after_prepare(tmp_path, code, **own):
    """What this code prints after `prepare`, in a process of its own. own: variables of its environment."""
    code = (
        "import os, sys\n"
        "from app.settings import Settings\n"
        "from app.startup import prepare\n"
        "prepare(Settings.parse(sys.argv[1:]))\n"
    ) + code
    unset = {"OMP_WAIT_POLICY", "MALLOC_ARENA_MAX"}
    environ = {name: value for name, value in os.environ.items() if name not in unset} | own
    run = [sys.executable, "-c", code, "--data", str(tmp_path), "--port", str(free_port())]
    return subprocess.run(run, env=environ, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(("own", "holds"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_waiting_threads_sleep_unless_the_environment_says_otherwise(tmp_path, own, holds):
    """It counts only if it is said before torch is loaded."""
    said = after_prepare(tmp_path, "print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)", **own)
    assert said.split() == [holds, "False"]


only_glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc has a heap for each thread"
)


@only_glibc
def test_memory_that_no_one_holds_goes_back_to_the_system():
    """In a process of its own: a hundred MB in small pieces, of which the last is still held."""
    code = (
        "import ctypes, psutil, time\n"
        "from app.heaps import keep_giving_back\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]\n"
        "pieces = [libc.malloc(1000) for _ in range(100_000)]\n"
        "[ctypes.memset(piece, 1, 1000) for piece in pieces]\n"
        "[libc.free(piece) for piece in pieces[:-1]]\n"
        "size = lambda: psutil.Process().memory_info().rss / 1e6\n"
        "before, ended, until = size(), keep_giving_back(0.05), time.monotonic() + 30\n"
        "while size() > before - 80 and time.monotonic() < until: time.sleep(0.01)\n"
        "ended.set(); print(before - size())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) > 80


@only_glibc
@pytest.mark.parametrize(("own", "heaps"), [({}, 2), ({"MALLOC_ARENA_MAX": "3"}, 3)])
def test_threads_share_few_heaps_unless_the_environment_says_otherwise(tmp_path, own, heaps):
    """Six threads that allocate at once; glibc counts its heaps itself."""
    code = (
        "import ctypes, tempfile, threading\n"
        "libc, together = ctypes.CDLL(None), threading.Barrier(6)\n"
        "libc.malloc.restype = libc.fdopen.restype = ctypes.c_void_p\n"
        "def one(): together.wait(); libc.malloc(1000); together.wait()\n"
        "threads = [threading.Thread(target=one) for _ in range(6)]\n"
        "[thread.start() for thread in threads]; [thread.join() for thread in threads]\n"
        "with tempfile.TemporaryFile() as file:\n"
        "    stream = ctypes.c_void_p(libc.fdopen(os.dup(file.fileno()), b'w'))\n"
        "    libc.malloc_info(0, stream); libc.fclose(stream)\n"
        "    file.seek(0); print(file.read().count(b'<heap nr='))\n"
    )
    assert int(after_prepare(tmp_path, code, **own)) == heaps
