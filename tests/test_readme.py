"""What the README says of files and commands is true, and it stays short."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def tree() -> dict[str, str]:
    """Path -> its line's words, of the tree at the end."""
    block = README[README.index("## Where things are") :].split("```")[1].strip("\n")
    found: dict[str, str] = {}
    folder = ""
    for line in block.splitlines():
        name, _, words = line.strip().partition(" ")
        if not line.startswith(" "):
            folder = name if name.endswith("/") else ""
        found[name if name == folder or not line.startswith(" ") else folder + name] = words.strip()
    return found


def test_it_can_be_read_in_one_sitting():
    assert len(README.splitlines()) <= 150


def test_its_tree_names_each_folder_of_the_product_with_a_line():
    paths = tree()
    assert [path for path in paths if not (ROOT / path).exists()] == []
    packages = {
        f"{file.parent.relative_to(ROOT)}/"
        for top in ("app", "gallery_store", "training")
        for file in (ROOT / top).rglob("*.py")
        if len(file.relative_to(ROOT).parts) <= 3
    }
    packages -= {"gallery_store/migrations/", "training/commands/"}  # parts of what their folder's line says
    assert packages <= set(paths)
    assert all(words for path, words in paths.items() if path not in ("app/", "training/"))


def test_every_link_and_picture_is_there():
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", README)]
    links += re.findall(r'src="([^"]+)"', README)
    here = [link for link in links if link and "://" not in link]
    assert here
    assert [link for link in here if not (ROOT / link).exists()] == []


def test_every_make_target_is_in_the_makefile():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", README))
    assert named and named <= targets
