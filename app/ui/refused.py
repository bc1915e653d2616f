"""A step that cannot be done, told in one sentence."""

import gradio as gr


class Refused(gr.Error):
    """Raised with one sentence for the operator: the error of an API's client, a message on the page."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, print_exception=False, title="Not done")
