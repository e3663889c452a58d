"""`postroom serve`."""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import Parameter, Signature, signature
from typing import Annotated, Any

import typer

from postroom import __version__
from postroom.cli.command import Command, commands
from postroom.cli.failures import binding
from postroom.cli.options import Config
from postroom.cli.place import settings_from
from postroom.settings import Setting, Settings, described

app = commands()

Welcome = Annotated[
    bool,
    typer.Option("--welcome", help="Make an organization if there is none, and print commands to try out."),
]
_METAVARS = {"integer": "NUMBER", "number": "NUMBER", "path": "DIR", "list": "LIST", "text": "TEXT"}


def serve(config: Config = None, welcome: Welcome = False, **options: Any) -> None:
    """Run the server until SIGTERM or SIGINT.

    Every option but --config and --welcome is a setting. It may also be an environment variable, as
    POSTROOM_BODY_LIMIT for --body-limit, or a key of the file, as body_limit. A list has commas, or its
    option is repeated.
    """
    settings = settings_from(config, options)
    import uvloop

    from postroom.cli.log import configure

    configure(settings.log_level, settings.log_format)
    if settings.processes > 1:
        from postroom.cli.processes import supervise

        asyncio.run(supervise(settings, welcome))
    else:
        uvloop.run(serving(settings, welcome))


async def serving(
    settings: Settings, welcome: bool = False, until: Callable[[], Awaitable[None]] | None = None
) -> None:
    """Serve in this process until SIGTERM or SIGINT, or until `until` returns."""
    import structlog

    from postroom.runtime import running

    log = structlog.get_logger("postroom")
    with binding(settings.host, settings.port):
        async with running(settings) as process:
            ends = [asyncio.ensure_future(end()) for end in (process.ended, until) if end is not None]
            # Its signal handlers must be there before anybody learns that the server is.
            await asyncio.sleep(0)
            log.info("started", url=process.url, database=settings.shown_database, version=__version__)
            print(f"Postroom is ready at {process.url}", flush=True)
            if welcome:
                from postroom.cli.welcome import words

                print(await words(process.hub, settings, process.url), flush=True)
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    log.info("stopped")


def _signature() -> Signature:
    """The options of `serve` with one for each setting, which stay text until settings.load reads them."""
    own = [each for each in signature(serve).parameters.values() if each.kind is not Parameter.VAR_KEYWORD]
    return Signature([*own, *(_parameter(setting) for setting in described())])


def _parameter(setting: Setting) -> Parameter:
    option = typer.Option(
        setting.option,
        metavar="|".join(setting.choices) or _METAVARS[setting.kind],
        help=setting.description + (f" Default: {setting.default}." if setting.default else ""),
    )
    kind = list[str] if setting.kind == "list" else str
    return Parameter(
        setting.name, Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )


serve.__signature__ = _signature()  # type: ignore[attr-defined]
app.command("serve", cls=Command)(serve)
