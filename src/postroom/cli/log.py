"""The log: structlog's lines and those of libraries, in one form on standard error."""

import logging
import sys
from typing import Any

import structlog
from structlog.stdlib import ProcessorFormatter


def configure(level: str, form: str) -> None:
    """Log `level` and above; `form` is json, console, or auto: console on a terminal, else json."""
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*_common(), ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(form))
    logging.basicConfig(handlers=[handler], level=number, force=True)
    logging.captureWarnings(True)
    # Uvicorn tells at level info what the ready line and the exit code tell already.
    logging.getLogger("uvicorn").setLevel(max(number, logging.WARNING))


def _common() -> list[structlog.typing.Processor]:
    return [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]


def _formatter(form: str) -> logging.Formatter:
    """Tracebacks are plain: those with local variables would show keys and messages."""
    coloured = sys.stderr.isatty()
    last: list[Any]
    if form == "console" or (form == "auto" and coloured):
        last = [
            structlog.dev.ConsoleRenderer(
                colors=coloured, timestamp_key="time", exception_formatter=structlog.dev.plain_traceback
            )
        ]
    else:
        last = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    return ProcessorFormatter(
        foreign_pre_chain=_common(), processors=[ProcessorFormatter.remove_processors_meta, *last]
    )
