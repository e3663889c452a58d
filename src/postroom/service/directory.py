"""Keys and queues as every request needs them, kept in memory and forgotten when any of them changes."""

from postroom.domain.api_key import ApiKey
from postroom.domain.queue import Queue
from postroom.store import api_keys, queues
from postroom.store.database import Database

MOST_KEPT = 10_000


class Directory:
    """A memory of small tables; what is missing is looked up, and absence is not remembered.

    What was looked up before it was told to forget may come after: that is answered, but not kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keys: dict[bytes, ApiKey] = {}
        self._queues: dict[tuple[str, str], Queue] = {}
        self._forgotten = 0  # how often

    async def key(self, digest: bytes) -> ApiKey | None:
        """The key whose secret has this digest."""
        key = self._keys.get(digest)
        if key is None:
            forgotten = self._forgotten
            key = await api_keys.find_by_digest(self._database, digest)
            if key is not None and forgotten == self._forgotten:
                self._make_room(self._keys)
                self._keys[digest] = key
        return key

    async def queue(self, org_id: str, queue_id: str) -> Queue | None:
        """A queue by its id."""
        queue = self._queues.get((org_id, queue_id))
        if queue is None:
            forgotten = self._forgotten
            queue = await queues.find(self._database, org_id, queue_id)
            if queue is not None and forgotten == self._forgotten:
                self._make_room(self._queues)
                self._queues[org_id, queue_id] = queue
        return queue

    def forget(self) -> None:
        """Look everything up afresh."""
        self._forgotten += 1
        self._keys.clear()
        self._queues.clear()

    @staticmethod
    def _make_room(kept: dict[bytes, ApiKey] | dict[tuple[str, str], Queue]) -> None:
        if len(kept) >= MOST_KEPT:
            kept.clear()
