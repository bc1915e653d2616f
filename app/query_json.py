"""A query and a question as plain data: what the API returns, and what the audit keeps."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from app.cards import shown_name
from app.chat.questions import Question
from app.model.checkpoint import encoder_key
from app.retrieval.query import Query

if TYPE_CHECKING:
    from app.retrieval.engine import Engine

NO_SEARCH = frozenset(
    {"asked_model", "exported", "shared", "unshared"}
)  # keys of the audit's rows that are no searches


def query_json(query: Query) -> dict[str, Any]:
    """kind; wanted (kind -> value); unwanted (kind -> values); text; words (kind -> the operator's own); company;
    references; filters; rejected; confirmed; other_clothes.

    Times of day are "14:00", days "2026-05-12", moments "2026-05-12T14:00", all in the gallery's zone.
    """
    unwanted: dict[str, list[str]] = {}
    for attribute in query.unwanted:
        unwanted.setdefault(attribute.kind, []).append(attribute.value)
    filters = query.filters
    return {
        "kind": query.kind,
        "wanted": {attribute.kind: attribute.value for attribute in query.wanted},
        "unwanted": unwanted,
        "text": query.text,
        "words": dict(query.words),
        "company": query.company,
        "references": [
            {"image_id": reference.image_id} if reference.file is None else {"photo": reference.file.name}
            for reference in query.references
        ],
        "filters": {
            "cameras": list(filters.cameras),
            "not_cameras": list(filters.not_cameras),
            "days": [day.isoformat() for day in filters.days],
            "after": filters.after.isoformat(timespec="minutes") if filters.after else None,
            "before": filters.before.isoformat(timespec="minutes") if filters.before else None,
            "since": filters.since.isoformat(timespec="minutes") if filters.since else None,
            "until": filters.until.isoformat(timespec="minutes") if filters.until else None,
            "tags": list(filters.tags),
        },
        "rejected": sorted(query.rejected),
        "confirmed": sorted(query.confirmed),
        "other_clothes": query.other_clothes,
    }


def question_json(question: Question | None) -> dict[str, Any] | None:
    """kind; text; answers, each a message to be sent as it stands; bits, what an answer is expected to tell."""
    if question is None:
        return None
    return {
        "kind": question.kind,
        "text": question.text,
        "answers": list(question.answers),
        "bits": round(question.bits, 2),
    }


def engine_json(engine: Engine, query: Query) -> dict[str, Any]:
    """What answers a query: model (its name; None for CLIP alone); weights (file -> SHA-256); ranker; clip and reid,
    "name@version" (reid: None where there is none); calibration (as app.model.checkpoint has it), None where none fits.
    """
    model = engine.model
    manifest = model.manifest if model else None
    encoder = engine.reid if query.references and engine.reid is not None else engine.encoder
    fitted = manifest.calibration(encoder.name, encoder.version, query.kind) if manifest else None
    return {
        "model": shown_name(model.name) if model else None,
        "weights": {name: file.sha256 for name, file in manifest.weights.items()} if manifest else {},
        "ranker": engine.ranker.name,
        "clip": encoder_key(engine.encoder.name, engine.encoder.version),
        "reid": encoder_key(engine.reid.name, engine.reid.version) if engine.reid is not None else None,
        "calibration": asdict(fitted) if fitted else None,
    }
