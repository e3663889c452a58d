"""Mattermost's outgoing webhooks.

* The webhook's token is in the body, which is JSON or a form, as the webhook is set.
* Mattermost calls for posts in public channels only, so each is in a group.
* A bulk export has no ids, so a message's id here is made as there: of the names of team, channel and user,
  of time and text. Servers tell the time in ms in JSON and in seconds in a form; Mattermost's documentation
  shows it in seconds, as a string, in both. Where it is in seconds, messages have another id, made of the
  post's, and an export tells of them once more.
* Files have ids only: their sizes and kinds are unknown.

https://developers.mattermost.com/integrate/webhooks/outgoing
"""

from urllib.parse import parse_qsl

import msgspec

from postroom.domain.activity import EARLIEST, Activity, Client, Id, digest
from postroom.sources import mattermost
from postroom.sources.live.request import REJECTED, Heard, Request, decoded, heard, same
from postroom.sources.media import Counted, Files
from postroom.sources.times import from_ms, from_seconds
from postroom.sources.trouble import Unfit

_MOST_FIELDS = 100
_MOST_DIGITS = 15


class _Token(msgspec.Struct):
    token: str


class _Post(msgspec.Struct):
    team_domain: Id
    channel_name: Id
    user_name: Id
    post_id: Id
    timestamp: int | str
    text: str = ""
    file_ids: str = ""


_TOKEN = msgspec.json.Decoder(_Token).decode
_POST = msgspec.json.Decoder(_Post).decode


def verified(secret: str, request: Request) -> bool:
    """Whether the token is the webhook's."""
    found = decoded(_token_of_form if request.is_form else _TOKEN, request.body)
    return found is not None and same(found.token.encode("utf-8", "replace"), secret.encode())


def read(source: str, request: Request) -> Heard:
    """What the post says."""
    post = decoded(_post_of_form if request.is_form else _POST, request.body)
    return REJECTED if post is None else heard(lambda: _sent(source, post))


def _token_of_form(body: bytes) -> _Token:
    return msgspec.convert(_form(body), _Token)


def _post_of_form(body: bytes) -> _Post:
    return msgspec.convert(_form(body), _Post)


def _form(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError as error:
        raise Unfit("is no form") from error


def _sent(source: str, post: _Post) -> Activity:
    space = mattermost.channel(post.team_domain, post.channel_name)
    told = _number(post.timestamp)
    if told < EARLIEST:
        at, new = from_seconds(told), digest("post", post.post_id)
    else:
        at = from_ms(told)
        new = mattermost.message_id(space, post.user_name, at, post.text)
    person = mattermost.person(post.user_name)
    return Activity(source, new, at, person, space, False, Client.UNKNOWN, *_files(post.file_ids))


def _number(timestamp: int | str) -> int:
    if isinstance(timestamp, int):
        return timestamp
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= _MOST_DIGITS):
        raise Unfit("has a timestamp that is no number")
    return int(timestamp)


def _files(ids: str) -> Counted:
    files = Files()
    for each in ids.split(","):
        if each:
            files.add()
    return files.counted()
