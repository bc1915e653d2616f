"""Answers that are JSON of a given schema: of each next token only those are left that the schema allows.

By llguidance: a small wheel without dependencies that computes the mask of a whole vocabulary in well under a
millisecond, where a grammar of our own in Python would ask about each token. Imports torch; imported only by what runs
the model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import llguidance
import llguidance.hf
import numpy as np
import torch
from torch import Tensor

from app.model.generation import stop_ids


class JsonWriter:
    """Steers one checkpoint's answers; made once, since the vocabulary of a large one takes a second to read."""

    def __init__(self, tokenizer: Any, model: Any) -> None:
        width = int(model.lm_head.out_features)  # of the logits: more than the tokenizer's tokens
        self._tokens = llguidance.hf.from_tokenizer(tokenizer, n_vocab=width)
        self._stops = sorted(stop_ids(model))

    def steer(self, schema: Mapping[str, Any]) -> SchemaSteer:
        """A steer for one answer. Raises ValueError for a schema that is not understood."""
        grammar = llguidance.LLMatcher.grammar_from_json_schema(
            json.dumps(schema), defaults={"whitespace_flexible": False}
        )
        matcher = llguidance.LLMatcher(self._tokens, grammar)
        if problem := matcher.get_error():
            raise ValueError(f"the schema is not understood: {problem}")
        return SchemaSteer(matcher, self._stops)


class SchemaSteer:
    """Masks the logits of one answer, token by token (app.model.generation.Steer)."""

    def __init__(self, matcher: llguidance.LLMatcher, stops: Sequence[int]) -> None:
        self._matcher = matcher
        self._stops = list(stops)
        self._taken = 0

    def __call__(self, logits: Tensor, written: Sequence[int]) -> Tensor:
        for token in written[self._taken :]:
            if not self._matcher.consume_token(token):
                raise ValueError(f"the answer leaves its schema: {self._matcher.get_error()}")
        self._taken = len(written)
        if self._matcher.is_stopped():  # it is whole: nothing but its end is left
            ended = logits.new_full(logits.shape, float("-inf"))
            ended[..., self._stops] = logits[..., self._stops]
            return ended
        # llguidance.torch would compile its own masking, which takes half a minute and a C++ compiler.
        allowed = torch.from_numpy(np.frombuffer(self._matcher.compute_logit_bias(), np.uint8) != 0)
        return logits.masked_fill(~allowed.to(logits.device), float("-inf"))
