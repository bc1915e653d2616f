"""Pages for people to read, by jinja2: one file each, which fetches nothing. The templates lie in templates/.

What a template is given is text and is escaped; markup of ours that it may pass on is named `svg` there.
jinja2 is imported when the first page is made.
"""

from __future__ import annotations

import base64
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment
    from PIL import Image

TEMPLATES = Path(__file__).parent / "templates"


def filled(template: str, **values: Any) -> str:
    """A page of templates/ with these values in it; a value that is missing raises jinja2.UndefinedError."""
    return _environment().get_template(template).render(values)


def jpeg_url(data: bytes) -> str:
    """An encoded JPEG as a data: URL."""
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()


def picture_url(picture: Image.Image, most: tuple[int, int]) -> str:
    """A picture as a data: URL of a JPEG, made smaller where it passes `most`, (width, height) in px."""
    small = picture.convert("RGB")
    small.thumbnail(most)
    data = BytesIO()
    small.save(data, "JPEG", quality=85)
    return jpeg_url(data.getvalue())


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
