"""What a list of activities comes to, counted in the plainest way."""

from collections import Counter
from collections.abc import Iterable

from postroom.domain.activity import Activity, Client, Deletion
from postroom.domain.clock import DAY
from postroom.domain.totals import Cell, Counts, Part, Sender, united
from postroom.service.folding import Days

Key = tuple[int, str, Part]
Found = tuple[Counts, int, int, int]


class Recount:
    """Everything that was taken in."""

    def __init__(self) -> None:
        self.messages: dict[tuple[str, str], Activity] = {}
        self.deleted: set[tuple[str, str]] = set()
        self.duplicates: Counter[tuple[int, str]] = Counter()

    def take(self, records: Iterable[Activity | Deletion]) -> tuple[int, int]:
        """How many of them are new, and how many are not; they come together, so messages come first."""
        some = list(records)
        new = sum([self._keep(each) for each in some if isinstance(each, Activity)])
        new += len({(each.source, each.message_id) for each in some if self._mark(each)})
        return new, len(some) - new

    def _keep(self, record: Activity) -> bool:
        key = record.source, record.message_id
        if key in self.messages:
            self.duplicates[record.at // DAY, record.source] += 1
            return False
        self.messages[key] = record
        return True

    def _mark(self, record: Activity | Deletion) -> bool:
        """Whether something is new of a deletion, or of the message that is told with it."""
        if isinstance(record, Activity):
            return False
        key = record.source, record.message_id
        new = key not in self.deleted
        self.deleted.add(key)
        if record.sent is not None and key not in self.messages:
            self.messages[key] = record.sent
            return True
        return new

    def parts(self, first: int, last: int) -> dict[Key, list[Activity]]:
        """The messages of these days, by day, source and part."""
        found: dict[Key, list[Activity]] = {}
        for key, each in self.messages.items():
            sender = Sender.PLATFORM if each.system else Sender.BOT if each.by_bot else Sender.PERSON
            if first <= each.at // DAY <= last:
                at = each.at // DAY, each.source, Part(sender, key in self.deleted)
                found.setdefault(at, []).append(each)
        return found

    def cells(self, first: int, last: int) -> dict[Key, Found]:
        """What each part comes to: the counts, and how many people, group and direct spaces there are."""
        return {key: (_counts(some), *_sizes(some)) for key, some in self.parts(first, last).items()}

    def people(self, first: int, last: int) -> int:
        """How many different people, bots excluded, sent something in all these days."""
        parts = self.parts(first, last).items()
        some = [each for (_, _, part), rest in parts for each in rest if part.sender is Sender.PERSON]
        return len({(each.source, each.person) for each in some if each.person})


def cells_of(found: Days) -> dict[Key, Found]:
    """The same of what was answered."""
    return {
        (cell.day, found.sources[cell.source], cell.part): (cell.counts, *_sizes_of(cell))
        for cell in found.cells
    }


def people_of(found: Days) -> int:
    """The same of what was answered."""
    return len(united(cell.people for cell in found.cells if cell.part.sender is Sender.PERSON))


def _sizes_of(cell: Cell) -> tuple[int, int, int]:
    return len(united([cell.people])), len(united([cell.groups])), len(united([cell.directs]))


def _sizes(some: list[Activity]) -> tuple[int, int, int]:
    spaces = {(each.direct, each.space) for each in some}
    directs = sum(direct for direct, _ in spaces)
    return len({each.person for each in some} - {""}), len(spaces) - directs, directs


def _counts(some: list[Activity]) -> Counts:
    clients = Counter(each.client for each in some)
    return Counts(
        len(some),
        clients[Client.DESKTOP],
        clients[Client.MOBILE],
        clients[Client.OTHER],
        sum(each.video for each in some),
        sum(each.audio for each in some),
        sum(each.recording for each in some),
        sum(each.files for each in some),
        sum(each.file_bytes for each in some),
        sum(each.files_of_unknown_size for each in some),
    )
