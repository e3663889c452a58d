"""A hub that random things happen to, and beside it the plain list of what happened."""

import asyncio
from bisect import insort
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple, Self

from postroom.domain import ids
from postroom.domain.clock import DAY, HOUR
from postroom.domain.delivery import Outcome, Owed, State
from postroom.domain.listener import Listener
from postroom.domain.usage import Kind
from postroom.service.hub import Hub
from postroom.service.retention import Retention
from tests.support.clock import MovingClock
from tests.support.history import History, Owing
from tests.support.home import Home
from tests.support.hub import NOWHERE, answered, opened, unique

MESSAGE_AGE, EVENT_AGE = 30 * DAY, 8 * DAY


class Step(NamedTuple):
    """What happens next: to which organization, to which of its things, how often, and in which process."""

    name: str
    org: int = 0
    which: int = 0
    many: int = 1
    by_command: bool = False
    process: int = 0


@dataclass
class Tenant:
    """An organization: what it has, and its history."""

    org_id: str
    history: History
    keys: list[str] = field(default_factory=list)
    queues: list[str] = field(default_factory=list)
    listeners: list[Listener] = field(default_factory=list)
    # The queue of each message that is there, and when each of its deliveries ended, by listener.
    messages: dict[str, str] = field(default_factory=dict)
    ended: dict[str, dict[str, int | None]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    in_flight: list[Outcome] = field(default_factory=list)


class Process:
    """A process that serves, ended and started again now and then."""

    def __init__(self, home: Home, clock: MovingClock) -> None:
        self._home = home
        self._clock = clock
        self._stack = AsyncExitStack()
        self._killed = asyncio.Event()
        self._seen: object = None

    async def start(self) -> None:
        """Be at work on the database."""
        self._killed = asyncio.Event()
        opening = opened(self._home, self._clock, killed=self._killed)
        self.hub = hub = await self._stack.enter_async_context(opening)
        self.retention = Retention(hub.ledger, hub.database, hub.clock, MESSAGE_AGE, EVENT_AGE)

    async def end(self, kill: bool = False) -> None:
        """Stop as it should, or leave the series of totals as they are held."""
        if kill:
            self._killed.set()
        await self._stack.aclose()

    async def look(self) -> None:
        """Notice what others have written, as a process does several times a second."""
        revision = await self.hub.revision()
        if revision != self._seen:
            self._seen = revision
            self.hub.directory.forget()


class World:
    """One process that serves, or two where the database allows it, and commands beside them."""

    def __init__(self, home: Home, clock: MovingClock) -> None:
        self.clock = clock
        self.tenants: list[Tenant] = []
        self._home = home
        self.processes = [Process(home, clock) for _ in range(2 if home.kind == "postgresql" else 1)]
        self._turn = 0

    async def __aenter__(self) -> Self:
        for process in self.processes:
            await process.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes:
            await process.end()

    @property
    def hub(self) -> Hub:
        """The services of the process that did something last."""
        return self.processes[self._turn].hub

    async def settle_in(self, time_zone: str) -> None:
        """A new organization with a key, a queue and a listener."""
        organization = await self.hub.organizations.create(unique("organization"), time_zone)
        self.tenants.append(Tenant(organization.id, History(time_zone)))
        for name in ("add_key", "add_queue", "add_listener"):
            await self.happen(Step(name, len(self.tenants) - 1))

    async def happen(self, step: Step) -> None:
        """Do it, and write it down."""
        tenant = self.tenants[step.org % len(self.tenants)]
        self._turn = step.process % len(self.processes)
        process = self.processes[self._turn]
        await process.look()
        if step.name == "restart":
            await process.end(kill=step.by_command)
            await process.start()
        elif step.name == "sweep":
            await self._sweep(process.retention)
        elif step.name == "reach_edge":
            self._reach_edge(tenant, step)
        elif step.name == "send_everywhere":
            await asyncio.gather(*(_send(each.hub, tenant, step) for each in self.processes))
        elif step.by_command:
            await self._command(_ACTS[step.name], tenant, step)
        else:
            await _ACTS[step.name](process.hub, tenant, step)
        for each in self.processes:
            await each.look()

    def _reach_edge(self, tenant: Tenant, step: Step) -> None:
        """Move to within a millisecond of where something leaves a window."""
        fact = tenant.history.facts[-1 - step.which % len(tenant.history.facts)]
        self.clock.now = fact.at + (HOUR, DAY)[step.by_command] + step.many - 2

    async def _command(self, act: "Act", tenant: Tenant, step: Step) -> None:
        async with opened(self._home, self.clock) as command:
            await command.statistics.messages(tenant.org_id)
            await act(command, tenant, step)
            seen = await command.statistics.messages(tenant.org_id)
            assert seen == tenant.history.stats(command.clock())

    async def _sweep(self, retention: Retention) -> None:
        now = self.hub.clock()
        await retention.sweep()
        for tenant in self.tenants:
            _swept(tenant, now)


def _swept(tenant: Tenant, now: int) -> None:
    """What a sweep should have removed."""
    for listener_id in tenant.gone:
        for ends in tenant.ended.values():
            if listener_id in ends and ends[listener_id] is None:
                ends[listener_id] = now
    tenant.gone.clear()
    for message_id, ends in list(tenant.ended.items()):
        over = [ids.time_of(message_id), *ends.values()]
        if all(end is not None and end < now - MESSAGE_AGE for end in over):
            _forget(tenant, message_id)


def _forget(tenant: Tenant, message_id: str) -> None:
    """The message is no longer there, nor shown as missed; that it was missed stays counted."""
    del tenant.messages[message_id], tenant.ended[message_id]
    for owing in tenant.history.owing.values():
        if message_id in owing.missed:
            owing.missed.remove(message_id)


def _pick(some: list[str], step: Step) -> str | None:
    return some[step.which % len(some)] if some else None


async def _add_key(hub: Hub, tenant: Tenant, step: Step) -> None:
    name = unique("key")
    key, _ = await hub.api_keys.create(tenant.org_id, name)
    tenant.keys.append(key.id)
    tenant.history.count(hub.clock(), Kind.API_KEY_ADDED, key.id, name=name)


async def _update_key(hub: Hub, tenant: Tenant, step: Step) -> None:
    if key_id := _pick(tenant.keys, step):
        name = unique("key")
        await hub.api_keys.update(tenant.org_id, key_id, name)
        tenant.history.count(hub.clock(), Kind.API_KEY_UPDATED, key_id, name=name)


async def _delete_key(hub: Hub, tenant: Tenant, step: Step) -> None:
    if key_id := _pick(tenant.keys, step):
        name = (await hub.api_keys.get(tenant.org_id, key_id)).name
        await hub.api_keys.delete(tenant.org_id, key_id)
        tenant.keys.remove(key_id)
        tenant.history.count(hub.clock(), Kind.API_KEY_DELETED, key_id, name=name)


async def _add_queue(hub: Hub, tenant: Tenant, step: Step) -> None:
    name = unique("queue")
    queue = await hub.queues.create(tenant.org_id, name)
    tenant.queues.append(queue.id)
    tenant.history.count(hub.clock(), Kind.QUEUE_ADDED, None, queue.id, name=name)


async def _update_queue(hub: Hub, tenant: Tenant, step: Step) -> None:
    if queue_id := _pick(tenant.queues, step):
        name = unique("queue")
        await hub.queues.update(tenant.org_id, queue_id, name)
        tenant.history.count(hub.clock(), Kind.QUEUE_UPDATED, None, queue_id, name=name)


async def _delete_queue(hub: Hub, tenant: Tenant, step: Step) -> None:
    if queue_id := _pick(tenant.queues, step):
        name = (await hub.queues.get(tenant.org_id, queue_id)).name
        await hub.queues.delete(tenant.org_id, queue_id)
        tenant.queues.remove(queue_id)
        tenant.history.count(hub.clock(), Kind.QUEUE_DELETED, None, queue_id, name=name)
        for listener in [each for each in tenant.listeners if each.queue_id == queue_id]:
            _discard_all(tenant, listener)
        for message_id in [m for m, its_queue in tenant.messages.items() if its_queue == queue_id]:
            _forget(tenant, message_id)


async def _add_listener(hub: Hub, tenant: Tenant, step: Step) -> None:
    if queue_id := _pick(tenant.queues, step):
        name = unique("listener")
        listener = await hub.listeners.create(tenant.org_id, queue_id, name, NOWHERE, NOWHERE)
        tenant.listeners.append(listener)
        tenant.history.owing[listener.id] = Owing()
        tenant.history.count(hub.clock(), Kind.LISTENER_ADDED, None, queue_id, listener.id, name=name)


async def _update_listener(hub: Hub, tenant: Tenant, step: Step) -> None:
    if tenant.listeners:
        listener = tenant.listeners[step.which % len(tenant.listeners)]
        key = tenant.org_id, listener.queue_id, listener.id
        await hub.listeners.update(*key, status="disabled" if step.many == 1 else "enabled")
        tenant.history.count(hub.clock(), Kind.LISTENER_UPDATED, None, *key[1:], name=listener.name)


async def _delete_listener(hub: Hub, tenant: Tenant, step: Step) -> None:
    if tenant.listeners:
        listener = tenant.listeners[step.which % len(tenant.listeners)]
        key = tenant.org_id, listener.queue_id, listener.id
        await hub.listeners.delete(*key)
        tenant.history.count(hub.clock(), Kind.LISTENER_DELETED, None, *key[1:], name=listener.name)
        _discard_all(tenant, listener)


def _discard_all(tenant: Tenant, listener: Listener) -> None:
    owing = tenant.history.owing[listener.id]
    owing.discarded += len(owing.pending)
    owing.pending.clear()
    tenant.listeners.remove(listener)
    tenant.gone.add(listener.id)


async def _send(hub: Hub, tenant: Tenant, step: Step) -> None:
    if queue_id := _pick(tenant.queues, step):
        to = [each.id for each in tenant.listeners if each.queue_id == queue_id]
        sending = [hub.messages.accept(tenant.org_id, queue_id, "{}") for _ in range(step.many)]
        for message_id in await asyncio.gather(*sending):
            tenant.messages[message_id] = queue_id
            tenant.ended[message_id] = dict.fromkeys(to)
            tenant.history.count(
                ids.time_of(message_id), Kind.MESSAGE_ADDED, None, queue_id, None, message_id
            )
            for listener_id in to:
                tenant.history.owing[listener_id].accepted += 1
                tenant.history.owing[listener_id].pending.add(message_id)


async def _delete_message(hub: Hub, tenant: Tenant, step: Step) -> None:
    if message_id := _pick(list(tenant.messages), step):
        await hub.messages.delete(tenant.org_id, tenant.messages[message_id], message_id)
        _forget(tenant, message_id)
        for owing in tenant.history.owing.values():
            owing.discarded += message_id in owing.pending
            owing.pending.discard(message_id)


async def _begin_attempts(hub: Hub, tenant: Tenant, step: Step) -> None:
    """Attempts whose outcomes are written later, whatever happens until then."""
    if tenant.listeners:
        listener = tenant.listeners[step.which % len(tenant.listeners)]
        some = (await hub.deliveries.due(tenant.org_id, listener.id, step.many)).some
        flying = {(o.message_id, o.attempt.listener_id) for o in tenant.in_flight}
        for owed in some:
            if (owed.message_id, listener.id) not in flying:
                tenant.in_flight.append(_outcome(hub, listener, owed, step))


def _outcome(hub: Hub, listener: Listener, owed: Owed, step: Step) -> Outcome:
    status = (200, 500, None, 410)[(step.which + step.org) % 4]
    return hub.deliveries.outcome(listener, owed, answered(listener, owed, hub.clock(), status), None)


async def _end_attempts(hub: Hub, tenant: Tenant, step: Step) -> None:
    ending = tenant.in_flight[: step.many]
    del tenant.in_flight[: step.many]
    await asyncio.gather(*(hub.deliveries.settle(outcome) for outcome in ending))
    for outcome in ending:
        kind = Kind.MESSAGE_PUBLISHED_OK if outcome.attempt.acknowledged else Kind.MESSAGE_PUBLISHED_NOT_OK
        subject = outcome.queue_id, outcome.attempt.listener_id, outcome.message_id
        tenant.history.count(hub.clock(), kind, None, *subject)
        _settled(tenant, outcome)


async def _attempt(hub: Hub, tenant: Tenant, step: Step) -> None:
    """Attempts that are answered at once."""
    await _begin_attempts(hub, tenant, step)
    await _end_attempts(hub, tenant, step)


def _settled(tenant: Tenant, outcome: Outcome) -> None:
    owing = tenant.history.owing[outcome.attempt.listener_id]
    if outcome.message_id in owing.pending and outcome.state is not State.PENDING:
        owing.pending.remove(outcome.message_id)
        tenant.ended[outcome.message_id][outcome.attempt.listener_id] = outcome.at
        if outcome.state is State.DELIVERED:
            owing.delivered += 1
        else:
            owing.failed += 1
            insort(owing.missed, outcome.message_id)


Act = Callable[[Hub, Tenant, Step], Awaitable[None]]

_ACTS: dict[str, Act] = {
    "add_key": _add_key,
    "update_key": _update_key,
    "delete_key": _delete_key,
    "add_queue": _add_queue,
    "update_queue": _update_queue,
    "delete_queue": _delete_queue,
    "add_listener": _add_listener,
    "update_listener": _update_listener,
    "delete_listener": _delete_listener,
    "send": _send,
    "delete_message": _delete_message,
    "attempt": _attempt,
    "begin_attempts": _begin_attempts,
    "end_attempts": _end_attempts,
}
NAMES = (*_ACTS, "restart", "sweep", "reach_edge", "send_everywhere")
