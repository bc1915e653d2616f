"""Which judgements were taken back: what the audit keeps, so that nobody calibrates on what was corrected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.chat.board import Sighting, board_of
from app.chat.conversation import Conversation


def taken_back(
    before: Conversation, after: Conversation, untold: Mapping[str, Sequence[int]]
) -> dict[str, list[int]]:
    """rejected, confirmed: the crops whose judgement a step ended: by an undo, by taking the crop off the board, or by
    removing its chip; as far as any. untold: the same of the steps before, as far as it is not in the audit yet.

    A new start, by "start over" or by another picture, ends no judgement: it stands of the search it was given in.
    """
    by_hand = len(after.turns) < len(before.turns) or after.turns[-1].action == "remove-chip"
    was, now = board_of(before.turns), board_of(after.turns)
    judged = _ids(now.rejected) | _ids(now.confirmed)
    told = {}
    for what in ("rejected", "confirmed"):
        ended = _ids(getattr(was, what)) - judged
        if by_hand:
            ended |= set(getattr(before.known, what)) - set(getattr(after.known, what))
        told[what] = sorted(set(untold.get(what, ())) - _ids(getattr(now, what)) | ended)
    return {what: crops for what, crops in told.items() if crops}


def _ids(sightings: Sequence[Sighting]) -> set[int]:
    return {one.image_id for one in sightings}
