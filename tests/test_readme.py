"""What the README says of files and commands is true."""

import re

from tests.readme_tree import README, ROOT, with_tree


def test_the_line_per_file_is_up_to_date():
    text = README.read_text("utf-8")
    assert with_tree(text) == text, "run `python -m tests.readme_tree`"


def test_every_link_and_picture_is_there():
    text = README.read_text("utf-8")
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text)]
    links += re.findall(r'src="([^"]+)"', text)
    here = [link for link in links if link and "://" not in link]
    assert here
    assert [link for link in here if not (ROOT / link).exists()] == []


def test_every_make_target_is_in_the_makefile():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", README.read_text("utf-8")))
    assert named and named <= targets
