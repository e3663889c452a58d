"""Carries news between processes: what was committed here for a listener that another process delivers to.

It is carried after the commit and may be lost; whoever it is for finds out by looking, a little later.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec
import structlog

from postroom.domain.errors import PostroomError
from postroom.domain.listener import SLOTS
from postroom.service.outbox import Accepted
from postroom.store.database import Channel
from postroom.workers.deliver import Deliver

log = structlog.get_logger(__name__)

MOST_TOLD = 40  # of each of the three sorts in one piece of news, which has to fit into 7900 bytes
RECONNECT_AFTER = 0.5  # seconds
PAUSE_FOR_EACH = 0.0005  # seconds between two pieces of news, for each process that there is
LONGEST_PAUSE = 0.005  # seconds, however many there are
Key = tuple[str, str]
T = TypeVar("T")


class News(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the process `by` has to say: listeners that are owed something or were changed, messages deleted
    before they were delivered (with organization and listener), whether slots are free."""

    by: str
    waiting: list[Key] = []
    changed: list[Key] = []
    discarded: list[tuple[str, str, str]] = []
    slots: bool = False


_decode = msgspec.json.Decoder(News).decode


class Courier:
    """Speaks for the process `own`, and passes on what others say; calls `missed` when some may be lost."""

    name = "courier"

    def __init__(
        self,
        channel: Channel,
        deliver: Deliver,
        own: str,
        missed: Callable[[], None],
    ) -> None:
        self._channel = channel
        self._deliver = deliver
        self._own = own
        self._slots_free: Callable[[], None] = lambda: None
        self._missed = missed
        self._waiting: set[Key] = set()
        self._changed: set[Key] = set()
        self._discarded: set[tuple[str, str, str]] = set()
        self._news = asyncio.Event()

    def when_slots_are_free(self, call: Callable[[], None]) -> None:
        """From now on, call this when another process has given up slots."""
        self._slots_free = call

    def owed(self, accepted: Accepted, _at: int) -> None:
        """Messages were accepted."""
        for key in accepted:
            self._note(self._waiting, *key)

    def changed(self, org_id: str, listener_id: str) -> None:
        """A listener was added, changed, found alive or dead, or deleted."""
        self._note(self._changed, org_id, listener_id)

    def discarded(self, org_id: str, listener_id: str, message_id: str) -> None:
        """A message was deleted before it was delivered."""
        if not self._deliver.holds(listener_id):
            self._discarded.add((org_id, listener_id, message_id))
            self._news.set()

    async def say_slots_are_free(self) -> None:
        """Tell the others that they may take slots."""
        await self._say(News(self._own, slots=True))

    async def run(self) -> None:
        """Speak and listen until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._speak())
            tasks.create_task(self._listen())

    def _note(self, noted: set[Key], org_id: str, listener_id: str) -> None:
        if not self._deliver.holds(listener_id):
            noted.add((org_id, listener_id))
            self._news.set()

    async def _speak(self) -> None:
        pause = self._shortest_pause()
        while True:
            await self._news.wait()
            self._news.clear()
            for news in self._gathered():
                await self._say(news)
            await asyncio.sleep(pause)
            # Where there is always more, it is gathered; one message after another is told at once.
            pause = min(2 * pause, LONGEST_PAUSE) if self._news.is_set() else self._shortest_pause()

    def _shortest_pause(self) -> float:
        """All share a server that takes one piece at a time; how many they are shows in the slots held."""
        return min(PAUSE_FOR_EACH * SLOTS / max(len(self._deliver.held), 1), LONGEST_PAUSE)

    def _gathered(self) -> Iterator[News]:
        while self._waiting or self._changed or self._discarded:
            yield News(self._own, _some(self._waiting), _some(self._changed), _some(self._discarded))

    async def _say(self, news: News) -> None:
        await self._channel.send(msgspec.json.encode(news).decode())

    async def _listen(self) -> None:
        while True:
            try:
                await self._channel.listen(self._heard, self._connected)
            except PostroomError as error:
                log.warning("channel_lost", worker=self.name, detail=error.detail)
            await asyncio.sleep(RECONNECT_AFTER)

    def _connected(self) -> None:
        """What was said while nobody listened is lost."""
        self._missed()
        self._slots_free()

    def _heard(self, text: str) -> None:
        try:
            news = _decode(text)
        except msgspec.MsgspecError as error:
            log.warning("news_not_understood", worker=self.name, detail=str(error))
            return
        if news.by != self._own:
            self._pass_on(news)

    def _pass_on(self, news: News) -> None:
        for key in news.waiting:
            self._deliver.waiting(*key)
        for key in news.changed:
            self._deliver.changed(*key)
        for discarded in news.discarded:
            self._deliver.discarded(*discarded)
        if news.slots:
            self._slots_free()


def _some(noted: set[T]) -> list[T]:
    """At most `MOST_TOLD`, taken out."""
    return [noted.pop() for _ in range(min(len(noted), MOST_TOLD))]
