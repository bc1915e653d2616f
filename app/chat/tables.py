"""Word tables, written as text."""

from __future__ import annotations


def listed(words: str) -> tuple[str, ...]:
    """The words of a table, in order: listed("red green") == ("red", "green")."""
    return tuple(words.split())


def phrases(table: str) -> tuple[str, ...]:
    """The phrases of a table, in order: phrases("no hat|a hat") == ("no hat", "a hat")."""
    return tuple(table.split("|"))
