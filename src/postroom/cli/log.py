"""The log: structlog's lines and those of libraries, in one form on standard error."""

import logging
import sys
from collections.abc import Sequence
from typing import Any

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor


def configure(level: str, form: str, **fields: object) -> None:
    """Log `level` and above; `form` is json, console, or auto: console on a terminal, else json.

    Every line has the `fields`.
    """
    common = _common(fields)
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*common, ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(form, common))
    logging.basicConfig(handlers=[handler], level=number, force=True)
    logging.captureWarnings(True)
    # Uvicorn tells at level info what the ready line and the exit code tell already.
    logging.getLogger("uvicorn").setLevel(max(number, logging.WARNING))


def _common(fields: dict[str, object]) -> list[Processor]:
    def add(_logger: object, _method: str, event: EventDict) -> EventDict:
        return fields | dict(event)

    return [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        add,
    ]


def _formatter(form: str, common: Sequence[Processor]) -> logging.Formatter:
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
        foreign_pre_chain=common, processors=[ProcessorFormatter.remove_processors_meta, *last]
    )
