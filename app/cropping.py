"""Photos that show more than a person: each is cut, or taken as a whole, before the message that has it is sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Cropping:
    """The photo in the cropper, and what was decided about others of the same message.

    is_attached: it stands in the message; else it was chosen to be cut by itself.
    """

    photo: Path | None = None
    is_attached: bool = False
    _cut: dict[Path, Path] = field(default_factory=dict)  # photo of the message -> what is searched with

    def take(self, photo: Path) -> None:
        """Open a photo that stands in no message."""
        self.photo, self.is_attached = photo, False

    def look_at(self, files: Sequence[Path], is_scene: Callable[[Path], bool]) -> bool:
        """Open the first file of the message that shows a scene and is not decided; -> whether there is one.

        A photo that was taken out of the message leaves the cropper.
        """
        found = next((file for file in files if file not in self._cut and is_scene(file)), None)
        if found is not None:
            self.photo, self.is_attached = found, True
        elif self.is_attached:
            self.photo, self.is_attached = None, False
        return found is not None

    def decide(self, chosen: Path) -> None:
        """The photo in the cropper is searched with as `chosen`: a part of it, or itself."""
        if self.photo is not None:
            self._cut[self.photo] = chosen
        self.close()

    def close(self) -> None:
        """Leave the photo in the cropper undecided."""
        self.photo, self.is_attached = None, False

    def sent(self, files: Sequence[Path]) -> tuple[Path, ...]:
        """What a message with these files is sent with; the decisions about them are used up."""
        chosen = tuple(self._cut.get(file, file) for file in files)
        self._cut.clear()
        return chosen
