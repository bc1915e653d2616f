"""A step that cannot be done, told in one sentence."""

import gradio as gr


class Refused(gr.Error):
    """Raised with one sentence for the operator. A client of the API gets it as its error; the page shows it."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, print_exception=False, title="Not done")
