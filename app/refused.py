"""A step that cannot be done, told in one sentence."""


class Refused(Exception):
    """Its message is one sentence for the operator; the page shows it, an API's client gets it as its error."""
