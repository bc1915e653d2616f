"""What the engine knows of a search's candidates, for the chat to choose its question by."""

from __future__ import annotations

import numpy as np

from app.chat.conversation import Conversation
from app.chat.questions import Looks
from app.chat.reply import may_ask, own_question
from app.chat.search_state import SURE
from app.retrieval.attribute_probs import comparable_kinds
from app.retrieval.engine import Engine
from app.retrieval.prefilter import Stop
from app.retrieval.query import Query
from app.retrieval.ranking import Candidate, Ranking

ON_SCREEN = 12  # candidates that count where none has a confidence
LEAST_WEIGHT = 1e-6  # of a confidence


def wants_question(conversation: Conversation, ranking: Ranking) -> bool:
    """Whether the last turn may be answered with a question on what its candidates show: where they were judged, are no
    photographs to a model that knows none, and nothing is asked back of the message itself.
    """
    told = ranking.judged and not ranking.photographs
    return may_ask(conversation, ranking) and told and not own_question(conversation)


def candidate_looks(engine: Engine, query: Query, ranking: Ranking, stop: Stop) -> Looks:
    """The candidates that the model read, by their confidence; where none has one, the first on the screen, all alike.

    Raises:
        RetrievalError: a picture that is searched with cannot be read. KeyError: a candidate that was deleted.
    """
    candidates: list[Candidate] = [one for one in ranking.candidates if not one.very_picture]
    sure = [one for one in candidates[: ranking.scored] if one.probability is not None]
    chosen = sure or candidates[:ON_SCREEN]
    weights = [1.0 if one.probability is None else max(one.probability, LEAST_WEIGHT) for one in chosen]
    return Looks(
        np.array(weights),
        engine.candidate_probs([one.image_id for one in chosen], stop=stop),
        engine.clip_attributes.confusion,
        shown_kinds(engine, query, stop),
        engine.kinds,
    )


def shown_kinds(engine: Engine, query: Query, stop: Stop) -> frozenset[str]:
    """The kinds that the pictures searched with show of the person as they are sought: what is read in one of them
    more surely than not. Where nobody reads them surely, all that such pictures can show.
    """
    if not query.references:
        return frozenset()
    kinds = frozenset(comparable_kinds(engine.kinds, query.wanted, query.other_clothes))
    if not engine.reads_attributes:
        return kinds
    readings = [reading for one in engine.read(query.references, stop=stop) for reading in one]
    return kinds & {reading.attribute.kind for reading in readings if reading.confidence >= SURE}
