"""``ajc server run``."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ajobs.admin.cli import session
from ajobs.admin.cli.arguments import Duration
from ajobs.protocol.durations import MICROSECOND_NS, SECOND_NS
from ajobs.protocol.subjects import DEFAULT_QUEUE
from ajobs.runtime.options import LogOptions, MonitorOptions, StorageOptions

if TYPE_CHECKING:
    from ajobs.admin.api.options import ServerOptions
    from ajobs.client.settings import Settings

logger = logging.getLogger("ajobs.api")


def _env(*names: str) -> Parameter:
    return Parameter(env_var=names)


async def run(  # noqa: PLR0913 - each option is a parameter
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
    max_connections: Annotated[int, _env("AJ_MAX_CONNECTIONS")] = 1_000,
    max_streams: Annotated[int, _env("AJ_MAX_STREAMS")] = 200,
    unsafe_bind: Annotated[bool, _env("AJ_UNSAFE_BIND")] = False,
    no_storage_init: Annotated[bool, _env("AJ_NO_STORAGE_INIT")] = False,
    storage: StorageOptions = StorageOptions(),
    monitoring: MonitorOptions = MonitorOptions(),
    log: LogOptions = LogOptions(),
) -> int:
    """Run the HTTP API until SIGTERM or Ctrl-C.

    Servers keep no state of their own, so several can run side by side.

    Parameters
    ----------
    listen
        Address and port to listen on; port 0 is any free port. Outside loopback it needs --token-file, --tls-client-ca
        or --unsafe-bind.
    tls_cert
        File with the certificate of the server and its intermediate certificates.
    tls_key
        File with the key of the certificate.
    tls_client_ca
        File with the authorities that sign client certificates. Clients must present one.
    token_file
        File with tokens, see ajc server token. It is read again when it changes.
    queue
        Queue of tasks that do not name one.
    allow_create_default
        Create the queue DEFAULT at the start and on request.
    read_timeout
        How long a client may take to send a request.
    write_timeout
        How long a client may pause while it receives a response.
    max_body
        Maximum size of a request body, in bytes.
    max_connections
        Maximum number of open connections. Beyond it, a new one replaces the oldest without a complete request.
    max_streams
        Maximum number of streams and waits that are open at the same time.
    unsafe_bind
        Accept all clients on an address outside loopback.
    no_storage_init
        Do not create the task store and the buckets.
    """
    from ajobs.admin.api.options import ServerOptions, parse_address  # slow to import, and not needed for a help page

    options = ServerOptions(
        bind=parse_address(listen),
        tls_cert=tls_cert,
        tls_key=tls_key,
        tls_client_ca=tls_client_ca,
        token_file=token_file,
        queue=queue,
        allow_create_default=allow_create_default,
        read_timeout=timedelta(microseconds=read_timeout / MICROSECOND_NS),
        write_timeout=timedelta(microseconds=write_timeout / MICROSECOND_NS),
        max_connections=max_connections,
        max_streams=max_streams,
        max_body=max_body,
        unsafe_bind=unsafe_bind,
    )
    log.start(debug=session.options().debug)
    settings: Settings = {**storage.settings, **session.keys()}
    await _serve(options, settings, monitoring, make=not no_storage_init)
    return 0


async def _serve(options: ServerOptions, settings: Settings, monitoring: MonitorOptions, *, make: bool) -> None:
    """Serve until a signal stops the server."""
    from ajobs.admin.api.server import serving  # slow to import, and not needed for a help page
    from ajobs.runtime.health import monitored
    from ajobs.runtime.program import stopped_by_signals

    server, context = session.address()
    if context is not None:
        settings["context"] = context
    async with serving(server, settings, options, make=make) as running:
        connection = running.service.client.connection

        def problems() -> dict[str, str | None]:
            return {"nats": None if connection.is_connected else "not connected"}

        with (
            stopped_by_signals(running.stop, logger),
            monitored(monitoring.monitor, monitoring.monitor_host, problems, logger),
        ):
            if options.token_file is not None and options.tls_cert is None and not options.bind.is_loopback:
                logger.warning("tokens are sent unencrypted: use --tls-cert and --tls-key, or a proxy with TLS")
            logger.info("server ready: %s, authentication %s", running.url, options.auth)
            await running.ended()
    logger.info("server stopped")
