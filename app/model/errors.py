"""The one error that a model raises for what its user can mend."""


class ModelError(ValueError):
    """A checkpoint that cannot be used; the message names it, says why, and what to do."""
