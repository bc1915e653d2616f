"""The one error of a search that its user can mend."""


class RetrievalError(ValueError):
    """A query that cannot be answered; the message names the thing and says what to do."""
