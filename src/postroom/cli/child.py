"""`python -m postroom.cli.child NUMBER`: one of the processes that `postroom serve --processes` starts.

Its settings come on standard input, where no other user can see them. Standard input stays open for as long
as the process that started it lives: its end is an order to stop.
"""

import asyncio
import os
import sys

from postroom.cli.main import guarded

STANDARD_INPUT = 0


def main() -> int:
    """Serve until SIGTERM or the end of standard input; the exit code."""
    import uvloop

    from postroom.cli.log import configure
    from postroom.cli.serve import serving
    from postroom.settings import Settings

    line = sys.stdin.buffer.readline()
    if line:
        settings = Settings.model_validate_json(line)
        configure(settings.log_level, settings.log_format, process=int(sys.argv[1]))
        uvloop.run(serving(settings, until=orphaned))
    return 0


async def orphaned() -> None:
    """Wait for the end of standard input."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def look() -> None:
        if not os.read(STANDARD_INPUT, 1024):
            loop.remove_reader(STANDARD_INPUT)
            ended.set()

    loop.add_reader(STANDARD_INPUT, look)
    await ended.wait()


if __name__ == "__main__":
    sys.exit(guarded(main))
