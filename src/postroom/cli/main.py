import asyncio, os, sys, json
import uvloop
from pathlib import Path
from postroom.runtime import running, commanding
from postroom.settings import load


def main() -> None:
    args = sys.argv[1:]
    opts: dict[str, object] = {}
    pos = []
    i = 0
    while i < len(args):
        if args[i] == "--json":
            i += 1
            continue
        if args[i].startswith("--"):
            n = args[i][2:].replace("-", "_")
            if n == "allow_network":
                opts.setdefault(n, []).append(args[i + 1])
            else:
                opts[n] = args[i + 1]
            i += 2
        else:
            pos.append(args[i])
            i += 1
    settings = load(opts, os.environ, None)
    if pos[0] == "serve":

        async def go():
            async with running(settings) as p:
                print(f"Postroom is ready at {p.url}", flush=True)
                await p.ended()
    else:

        async def go():
            async with commanding(settings) as hub:
                o, k = await hub.organizations.found(pos[2])
                print(json.dumps({"organization": {"id": o.id, "name": o.name}, "api_key": k}))

    uvloop.run(go())
