"""A query as plain data, for the API and the audit."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from app.model.vocabulary import Attribute
from app.query_json import query_json
from app.retrieval.query import Query, Reference
from gallery_store.crops import Filters
from training.calibration.audit import _Asked


def test_a_query_as_plain_data() -> None:
    query = Query(
        wanted=(Attribute("upper", "coat"),),
        unwanted=(Attribute("hat", "cap"), Attribute("hat", "hat")),
        references=(Reference(image_id=4), Reference(file=Path("/tmp/secret/me.jpg"))),
        filters=Filters(cameras=("3",), after=datetime(2026, 1, 1, 14, 0).time()),
        rejected=frozenset({9, 2}),
        words=(("upper", "camel overcoat"),),
    )
    plain = query_json(query)
    assert plain["kind"] == "image-plus-text"
    assert plain["wanted"] == {"upper": "coat"} and plain["unwanted"] == {"hat": ["cap", "hat"]}
    assert plain["words"] == {"upper": "camel overcoat"}
    assert plain["references"] == [{"image_id": 4}, {"photo": "me.jpg"}]
    assert plain["filters"]["after"] == "14:00" and plain["rejected"] == [2, 9]


def test_calibration_asks_again_what_the_audit_kept() -> None:
    query = Query((Attribute("upper", "coat"),), text="limping", words=(("upper", "camel overcoat"),))
    query = replace(query, company="with a woman in a green dress")
    assert _Asked.read(query_json(query)).query() == query
    told = {
        key: value for key, value in query_json(query).items() if key not in ("words", "company")
    }  # an older row
    assert _Asked.read(told).query() == Query(query.wanted, text="limping")
