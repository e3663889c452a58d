"""What is measured: the product on a database, in one process or several."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.postgres import Postgres


class Variant(NamedTuple):
    """One way to run it; `label` stands in the table, and `postgres` is None for the embedded database."""

    label: str = ""
    postgres: Postgres | None = None
    processes: int = 1

    @contextmanager
    def database(self, folder: Path) -> Iterator[str]:
        """The address of a new database: in the folder, or on the server."""
        if self.postgres is None:
            yield f"sqlite:{folder / 'postroom.db'}"
        else:
            with self.postgres.fresh() as url:
                yield url


class Setup(NamedTuple):
    """All that are measured in one run, and what some of them are measured beside."""

    variants: tuple[Variant, ...]
    beside: tuple[Variant, ...] = ()
    postgres: Postgres | None = None

    @property
    def all(self) -> tuple[Variant, ...]:
        return self.beside + self.variants

    def up_to(self, processes: int) -> list[Variant]:
        """Those with at most so many processes."""
        return [variant for variant in self.variants if variant.processes <= processes]


EMBEDDED = Setup((Variant(),))


def on_postgres(postgres: Postgres) -> Setup:
    """With one process and with two; beside them the embedded database."""
    variants = Variant("postgresql, 1 process", postgres), Variant("postgresql, 2 processes", postgres, 2)
    return Setup(variants, (Variant("embedded"),), postgres)
