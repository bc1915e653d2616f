"""What can go wrong with a gallery; each message is one sentence that names the thing and the mend."""

from __future__ import annotations


class GalleryError(RuntimeError):
    """A gallery that cannot be used as asked."""


class GalleryLocked(GalleryError):
    """Another program holds the gallery."""


class GalleryTooNew(GalleryError):
    """The gallery was written by a newer version of ChatReID."""


class EncoderMismatch(GalleryError):
    """The gallery's vectors come from another encoder than the one at hand."""
