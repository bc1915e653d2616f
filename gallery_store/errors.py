"""What can go wrong with a gallery; each message is one sentence that names the thing and says what to do."""

from __future__ import annotations


class GalleryError(RuntimeError):
    """A gallery that cannot be used as asked."""


class NoGallery(GalleryError):
    """There is no gallery where one must be."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"there is no gallery {name}: make it with `python -m gallery_store import PATH --gallery {name}`"
        )


class GalleryLocked(GalleryError):
    """Another program holds the gallery."""


class GalleryTooNew(GalleryError):
    """The gallery was written by a newer version of ChatReID."""


class GalleryReadOnly(GalleryError):
    """The gallery lies where nothing can be written: it can be looked at."""


class EncoderMismatch(GalleryError):
    """The gallery's vectors come from another encoder than the one at hand."""


def first_line(problem: BaseException, most: int = 300) -> str:
    """The first line of the message, at most `most` characters; the error's class where it has no message."""
    return (str(problem).strip().splitlines() or [""])[0][:most] or type(problem).__name__
