"""Files of a message: what counts, and of what kind it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.domain.activity import MOST_BYTES, MOST_FILES
from postroom.sources.media import NO_FILES, Files

SIZES = st.none() | st.integers() | st.floats() | st.text() | st.booleans()


@given(st.lists(st.tuples(SIZES, st.none() | st.text(), st.none() | st.text()), max_size=10))
def test_whatever_is_added(added: list[tuple[object, str | None, str | None]]) -> None:
    """Each file counts once, its size where it is believable, and sums stay within their bounds."""
    files = Files()
    for size, kind, name in added:
        files.add(size, kind, name)
    assert files.count == len(added)
    assert 0 <= files.of_unknown_size <= files.count
    assert 0 <= files.size <= MOST_BYTES


def test_absurd_numbers() -> None:
    """A message has a bounded number of files, and no file is larger than is believable."""
    files = Files()
    for _ in range(MOST_FILES + 5):
        files.add(MOST_BYTES + 1)
    assert (files.count, files.size, files.of_unknown_size) == (MOST_FILES, 0, MOST_FILES)


@pytest.mark.parametrize(
    ("kind", "name", "video", "audio"),
    [
        ("video/mp4", None, True, False),
        ("audio/ogg; codecs=opus", None, False, True),
        ("video", "a.mp3", True, False),
        ("image/png", "a.mp4", False, False),
        ("application/octet-stream", "a.mkv", True, False),
        (None, "a.b.WAV", False, True),
        (None, "mp4", True, False),
        (None, "a.txt", False, False),
        (None, None, False, False),
    ],
)
def test_kinds(kind: str | None, name: str | None, video: bool, audio: bool) -> None:
    """The type decides; without one, the ending of the name."""
    files = Files()
    files.add(1, kind, name)
    assert (files.video, files.audio, files.recording) == (video, audio, False)


@pytest.mark.parametrize(
    ("name", "recording"),
    [
        ("Weekly-20231114_120000-Meeting Recording.mp4", True),
        ("call_recording.mp4", True),
        ("GMT20231114-120000_Recording_1920x1080.mp4", True),
        ("zoom_0.mp4", True),
        ("meeting.arf", True),
        ("a.wrf", True),
        ("Screen Recording 2023-11-14.mov", False),
        ("recording.mp4", False),
    ],
)
def test_recordings(name: str, recording: bool) -> None:
    """Only what is named like the recording of a meeting or call is one."""
    files = Files()
    files.add(1, None, name)
    assert files.recording is recording


def test_no_files() -> None:
    """The files of a message without any."""
    assert Files().counted() == NO_FILES
