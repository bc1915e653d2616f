"""A step that cannot be done, told in one sentence."""


class Refused(Exception):
    """Its message is one sentence for the operator; the page shows it, an API's client gets it as its error."""


class ReasonNeeded(Refused):
    """A search of a case that has no reason yet, where one is required; it can be done once there is one."""

    def __init__(self) -> None:
        super().__init__(
            "Why is this person looked for? A reason is needed once for each case, before pictures are shown."
        )
