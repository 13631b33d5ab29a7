"""Runs the API server of Krake, which is an application of aiohttp, on loopback.

usage: krake_api.py CONFIGURATION.json

Krake's own command listens on every address. This one prints "listening PORT" when it responds.
"""

import asyncio
import dataclasses
import json
import sys

from aiohttp import web


def allow_defaults_of_krake():
    """Python 3.11 refuses dataclasses as default values of fields; Krake has some."""
    get_field = dataclasses._get_field

    def get_field_with_factory(cls, name, *rest):
        default = getattr(cls, name, None)
        value = default.default if isinstance(default, dataclasses.Field) else default
        if dataclasses.is_dataclass(value) and type(value).__hash__ is None:
            field = default if default is not value else dataclasses.field()
            field.default, field.default_factory = dataclasses.MISSING, lambda: value
            setattr(cls, name, field)
        return get_field(cls, name, *rest)

    dataclasses._get_field = get_field_with_factory


async def serve(path):
    from krake.api.app import create_app
    from krake.data.config import ApiConfiguration

    with open(path, encoding="utf-8") as file:
        app = create_app(ApiConfiguration.deserialize(json.load(file)))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=app["ssl_context"]).start()
    print(f"listening {runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


allow_defaults_of_krake()
asyncio.run(serve(sys.argv[1]))
