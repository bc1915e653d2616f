"""A message of many like parts is read in one way, and in time: what can be read in two ways takes twice as long with
every part, and `re` lets nobody else compute meanwhile."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Sixty parts that could each be read in two ways would take as long as the sun burns; one way takes milliseconds.
READ = """
import sys
from app.chat.commands import after_start_over, after_undo, command_in
from app.chat.complaints import read_complaint
from app.chat.list_questions import read_list_question
from app.chat.results import read_pointing
from app.chat.search_state import SearchState

for start in ("", "open candidate ", "are number 1 and number 2 ", "not ", "start over", "scratch that", "too old"):
    for end in ("", " entrance", " look alike", "?", " !"):
        message = start + sys.argv[1] * 60 + end
        read_pointing(message, 60), read_list_question(message), command_in(message)
        after_start_over(message), after_undo(message), read_complaint(message, SearchState())
"""
PARTS = [
    "number 1 and ",
    "number 1, number 2 and ",
    "not number 1 or ",
    "candidate #2 ",
    "show me candidate 5 ",
    "candidate 1",
    "and the second one ",
    "the last one, and ",
    "open number ",
    "1",
    "12 ",
    "1, ",
    "#1",
    "#1 ",
    "candidate ",
    "the ",
    "no ",
    "not ",
    "please, ",
    "ok so ",
    "definitely ",
    "and ",
    " ",
    ",",
    "!",
    ". ",
    "these are all men, ",
    "start over ",
]


@pytest.mark.parametrize("part", PARTS)
def test_sixty_parts_are_read(part):
    subprocess.run([sys.executable, "-c", READ, part], cwd=ROOT, check=True, timeout=60)
