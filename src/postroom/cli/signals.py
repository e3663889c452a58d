"""How a command that goes on learns that it is to stop."""

import asyncio
import signal


def told_to_stop() -> asyncio.Event:
    """Set by SIGTERM and by SIGINT from now on."""
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    return told
