"""``ajc server``: run the HTTP API, and make tokens for it."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from ajobs.admin.cli.arguments import Duration, group
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.subjects import DEFAULT_QUEUE

app = group("server", "Run the HTTP API, and make tokens for it.")


def _env(*names: str) -> Parameter:
    return Parameter(env_var=names, show_default=lambda value: value or None)


@app.command
async def run(  # noqa: PLR0913 - one argument an option
    *,
    listen: Annotated[str, _env("AJ_LISTEN"), Parameter(name=("--listen", "--bind"))] = "127.0.0.1:8080",
    tls_cert: Annotated[Path | None, _env("AJ_TLS_CERT")] = None,
    tls_key: Annotated[Path | None, _env("AJ_TLS_KEY")] = None,
    tls_client_ca: Annotated[Path | None, _env("AJ_TLS_CLIENT_CA")] = None,
    token_file: Annotated[Path | None, _env("AJ_TOKEN_FILE")] = None,
    queue: Annotated[str, _env("AJ_QUEUE")] = DEFAULT_QUEUE,
    allow_create_default: Annotated[bool, _env("AJ_ALLOW_CREATE_DEFAULT")] = False,
    read_timeout: Annotated[Duration, _env("AJ_READ_TIMEOUT")] = 30 * SECOND_NS,
    write_timeout: Annotated[Duration, _env("AJ_WRITE_TIMEOUT")] = 30 * SECOND_NS,
    max_body: Annotated[int, _env("AJ_MAX_BODY")] = 524_288,
    unsafe_bind: Annotated[bool, _env("AJ_UNSAFE_BIND")] = False,
    no_storage_init: Annotated[bool, _env("AJ_NO_STORAGE_INIT")] = False,
    replicas: Annotated[int, _env("AJ_REPLICAS")] = 1,
    monitor: Annotated[int | None, _env("AJ_MONITOR")] = None,
    monitor_host: Annotated[str, _env("AJ_MONITOR_HOST")] = "127.0.0.1",
    log_format: Annotated[Literal["text", "json"], _env("AJ_LOG_FORMAT")] = "text",
    log_level: Annotated[str, _env("AJ_LOG_LEVEL")] = "info",
) -> int:
    """Run the HTTP API until SIGTERM or Ctrl-C. Run as many as you like: they keep nothing.

    Parameters
    ----------
    listen
        Address and port to listen on; port 0 takes any free one. An address that is not loopback needs --token-file,
        --tls-client-ca or --unsafe-bind.
    tls_cert
        File with the server's certificate, and those between it and its authority.
    tls_key
        File with its key.
    tls_client_ca
        Clients have to show a certificate of an authority in this file.
    token_file
        File of tokens, see ajc server token. It is read again when it changes.
    queue
        The queue of tasks that name none.
    allow_create_default
        Make the queue DEFAULT at the start, and when asked to.
    read_timeout
        How long a client may take to send a request.
    write_timeout
        For how long a client may take nothing of an answer.
    max_body
        Bytes of a request's body.
    unsafe_bind
        Let everybody in on an address that is not loopback.
    no_storage_init
        Make no task store and no buckets.
    replicas
        On how many servers to keep what is made.
    monitor
        Serve metrics, /healthz and /readyz on this port too, without tokens.
    monitor_host
        The address for that.
    log_format
        text, or json with an object a line.
    log_level
        debug, info, warning or error.
    """
    from ajobs.admin.api.options import ServerOptions, parse_address
    from ajobs.admin.api.server import serving
    from ajobs.admin.cli import session
    from ajobs.client.settings import Settings
    from ajobs.runtime.health import monitored
    from ajobs.runtime.logging import start_logging
    from ajobs.runtime.program import stopped_by_signals

    options = ServerOptions(
        bind=parse_address(listen),
        tls_cert=tls_cert,
        tls_key=tls_key,
        tls_client_ca=tls_client_ca,
        token_file=token_file,
        queue=queue,
        allow_create_default=allow_create_default,
        read_timeout_ns=read_timeout,
        write_timeout_ns=write_timeout,
        max_body=max_body,
        unsafe_bind=unsafe_bind,
    )
    start_logging(level="debug" if session.options().debug else log_level, log_format=log_format)
    logger = logging.getLogger("ajobs.api")
    settings: Settings = {"replicas": replicas, **session.keys()}
    server, context = session.address()
    if context is not None:
        settings["context"] = context
    async with serving(server, settings, options, make=not no_storage_init) as running:
        connection = running.service.client.storage.connection

        def problems() -> dict[str, str | None]:
            return {"nats": None if connection.is_connected else "not connected"}

        with stopped_by_signals(running.stop, logger), monitored(monitor, monitor_host, problems, logger):
            if options.token_file is not None and tls_cert is None and not options.bind.is_loopback:
                logger.warning("tokens go over the network in the clear: use TLS here, or in front of the server")
            logger.info("server ready: %s, authentication %s", running.url, options.auth)
            await running.ended()
    logger.info("server stopped")
    return 0


@app.command
def token(name: str, *, scope: Annotated[list[Literal["read", "write", "admin"]], Parameter(negative=())]) -> int:
    """Make a token. It is shown once; the server's file gets a line that does not tell it.

    Parameters
    ----------
    name
        Whose it is: it is in the server's log.
    scope
        read, write (tasks) or admin (queues, schedules, the store); each includes those before it.
    """
    from ajobs.admin.api.tokens import Scope, new_token

    secret, line = new_token(name, map(Scope, scope))
    if sys.stderr.isatty():
        print("the token, which is not shown again, and the line for the file of --token-file:", file=sys.stderr)  # noqa: T201
    print(secret)  # noqa: T201 - it is shown this once, to who asked for it
    print(line)  # noqa: T201
    return 0
