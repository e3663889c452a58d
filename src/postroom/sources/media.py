"""Files of a message: how many, how large, and what of them is video, audio or a recording.

* A file's size counts where the export tells it and it is believable; other files are of unknown size.
* Video and audio go by what the platform says of the file (a voice message is audio even when its type is
  a video container), else by its MIME type, else by the ending of its name.
* A recording is the recording of a meeting or call. It is known by its name as Teams, Zoom and Webex give
  it, or by Webex's own formats (.arf, .wrf), or by what the platform says. It is video or audio as well.
"""

import re

import msgspec

from postroom.domain.activity import MOST_BYTES, MOST_FILES

_VIDEO = frozenset(
    {"3gp", "avi", "flv", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "ogv", "webm", "wmv", "arf", "wrf"}
)
_AUDIO = frozenset({"aac", "aiff", "amr", "flac", "m4a", "mp3", "oga", "ogg", "opus", "wav", "wma", "weba"})
_RECORDING = re.compile(
    r"(?i)\b(?:meeting|call)[ _-]?recording\b|^GMT\d{8}-\d{6}_Recording|^zoom_\d+\.mp4$|\.(?:arf|wrf)$"
)


Counted = tuple[int, int, int, bool, bool, bool]
"""What an activity says of its files, from `files` to `recording`, in its order."""
NO_FILES: Counted = (0, 0, 0, False, False, False)


class Files(msgspec.Struct):
    """The files of one message, while they are counted."""

    count: int = 0
    size: int = 0
    of_unknown_size: int = 0
    video: bool = False
    audio: bool = False
    recording: bool = False

    def add(self, size: object = None, kind: str | None = None, name: str | None = None) -> None:
        """Count a file. `kind` is "video", "audio" or a MIME type; `size` is in bytes."""
        if self.count >= MOST_FILES:
            return
        self.count += 1
        if isinstance(size, (int, float)) and 0 <= size <= MOST_BYTES - self.size:
            self.size += int(size)
        else:
            self.of_unknown_size += 1
        self._look_at(kind or "", name or "")

    def _look_at(self, kind: str, name: str) -> None:
        main = kind.partition("/")[0]
        ending = name.rpartition(".")[2].lower()
        if main not in {"video", "audio"} and kind in {"", "application/octet-stream"}:
            main = "video" if ending in _VIDEO else "audio" if ending in _AUDIO else ""
        self.video = self.video or main == "video"
        self.audio = self.audio or main == "audio"
        self.recording = self.recording or (bool(name) and _RECORDING.search(name) is not None)

    def counted(self) -> Counted:
        """The files as an activity has them."""
        return self.count, self.size, self.of_unknown_size, self.video, self.audio, self.recording
