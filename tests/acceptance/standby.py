"""A second PostgreSQL that follows the first one commit by commit, and can take its place."""

import shutil
from typing import Final

from tests.support.postgres import Server, run

NAME: Final = "standby"


class Standby(Server):
    """A server whose data directory is a copy of another's; until it is promoted it only reads."""

    def __init__(self, primary: Server) -> None:
        super().__init__()
        shutil.rmtree(self.data)
        source = f"{primary.url()}?application_name={NAME}"
        quick = ("--checkpoint=fast", "--no-sync")
        run(self.program("pg_basebackup"), "-D", self.data, "-d", source, "--write-recovery-conf", *quick)

    def promote(self) -> None:
        """Take the place of the primary."""
        self.rows("postgres", "SELECT pg_promote(true, 60)")


def wait_for_it(primary: Server) -> None:
    """From now on, no commit of the primary is answered before the standby has it."""
    primary.rows("postgres", f"ALTER SYSTEM SET synchronous_standby_names = '{NAME}'")
    primary.rows("postgres", "SELECT pg_reload_conf()")
