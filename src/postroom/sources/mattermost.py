"""Mattermost's bulk export: JSON lines (import.jsonl), alone or in a zip with the files in data/.

* The export has no ids. Users, teams and channels are known by name, so their ids here are digests of the
  names; a message's id is one of channel, user, `create_at` and text. The text belongs to it because posts
  that were imported once share a time. So a post that was edited between two exports counts as two.
* Replies are inside their post. Reactions are inside too, and are not counted.
* Spaces: a channel is a group; a direct_post is direct when it has two members (or one, with themselves).
* Bots: posts by a bot of the export's list, or marked so (from_webhook, from_bot).
* Types system_... are Mattermost's own messages, and so are those of the Calls plugin (custom_calls...); a
  custom_calls_recording carries a recording.
* A file's size is that of the file in the archive, where the export holds files; its kind goes by its name.
* Deleted posts are not exported, and nothing names the client.
"""

from collections.abc import Iterator
from functools import lru_cache, partial

import msgspec

from postroom.domain.activity import Activity, Client, Id, Record, digest
from postroom.sources.archive import Archive
from postroom.sources.media import NO_FILES, Counted, Files
from postroom.sources.records import Converted, Form, Outline, outline, records, unreadable
from postroom.sources.times import from_ms
from postroom.sources.trouble import Unfit

NAME = "mattermost"
EXPECTED = (
    'a bulk export of Mattermost: JSON lines that begin with {"type": "version", ...}, alone or in a zip as '
    "import.jsonl."
)
_KINDS = ("version", "team", "channel", "user", "post", "direct_channel", "direct_post")
Scalar = str | int | float | bool | None


class _Props(msgspec.Struct):
    from_webhook: Scalar = None
    from_bot: Scalar = None


class _Attachment(msgspec.Struct):
    path: str | None = None


class _Reply(msgspec.Struct):
    user: Id
    create_at: int
    message: str | None = ""
    type: str | None = ""
    props: _Props | None = None
    attachments: list[_Attachment] | None = None


class _Post(_Reply):
    team: str | None = None
    channel: str | None = None
    channel_members: list[str] | None = None
    replies: list[_Reply] | None = None


class _Bot(msgspec.Struct):
    username: str


class _Line(msgspec.Struct):
    type: str
    post: _Post | None = None
    direct_post: _Post | None = None
    bot: _Bot | None = None


_LINE = Form(_Line)
_RECORDING = "custom_calls_recording"
_YES = {"true", True}


def message_id(space: str, user: str, at: int, text: str) -> str:
    """The id of a post, made of the names by which an export and a webhook know it; `at` is in ms."""
    return digest(space, user, str(at), text)


@lru_cache(1 << 16)
def channel(team: str, name: str) -> str:
    """The space of a channel."""
    return digest("channel", team, name)


@lru_cache(1 << 16)
def person(name: str) -> str:
    """The person who is called so."""
    return digest("user", name)


def fits(archive: Archive) -> bool:
    """Whether some file begins as a bulk export does."""
    return any(_has_posts(found) for _, found in _outlines(archive))


def _outlines(archive: Archive) -> Iterator[tuple[str, Outline | None]]:
    """Of each file that is not one of those in posts."""
    return ((name, outline(archive, name)) for name in archive.texts if not name.startswith("data/"))


def _has_posts(found: Outline | None) -> bool:
    return found is not None and found.by_line and any(found.has("type", kind) for kind in _KINDS)


def read(archive: Archive, source: str = NAME) -> Iterator[Record]:
    """The posts of all channels and conversations, each with its replies."""
    bots: set[str] = set()
    for name, found in _outlines(archive):
        if found is None:
            yield unreadable(name)
        elif _has_posts(found):
            yield from records(archive, name, Outline(True), _LINE, partial(_line, source, archive, bots))


def _line(source: str, archive: Archive, bots: set[str], line: _Line) -> Converted:
    if line.bot is not None:
        bots.add(line.bot.username)
    post = line.post or line.direct_post
    if post is None:
        return ()
    space, direct = _space(post)
    return tuple(
        _sent(source, space, direct, one, one.user in bots, _files(archive, one))
        for one in (post, *(post.replies or ()))
    )


def _space(post: _Post) -> tuple[str, bool]:
    if post.channel_members is not None:
        members = sorted(set(post.channel_members))
        return digest("members", *members), len(members) <= 2
    if post.team is None or post.channel is None:
        raise Unfit("has neither a channel nor members")
    return channel(post.team, post.channel), False


def _sent(source: str, space: str, direct: bool, post: _Reply, by_bot: bool, files: Counted) -> Activity:
    kind, props = post.type or "", post.props
    return Activity(
        source,
        message_id(space, post.user, post.create_at, post.message or ""),
        from_ms(post.create_at),
        person(post.user),
        space,
        direct,
        Client.UNKNOWN,
        *files,
        by_bot=by_bot or (props is not None and (props.from_webhook in _YES or props.from_bot in _YES)),
        system=kind.startswith(("system_", "custom_calls")),
    )


def _files(archive: Archive, post: _Reply) -> Counted:
    recorded = post.type == _RECORDING
    if not post.attachments and not recorded:
        return NO_FILES
    files = Files(recording=recorded)
    for attachment in post.attachments or ():
        path = attachment.path or ""
        size = archive.size(f"data/{path}")
        files.add(archive.size(path) if size is None else size, name=path.rpartition("/")[2])
    return files.counted()
