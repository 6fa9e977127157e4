"""The groups of options that programs share."""

from __future__ import annotations

import logging

import pytest
from cyclopts import App

from ajobs.protocol.errors import ConfigurationError
from ajobs.runtime.options import (
    DEFAULTS,
    ConnectionOptions,
    MonitorOptions,
    ServiceLogOptions,
    SigningOptions,
    StorageOptions,
)


def parsed(*arguments: str) -> list:
    """Return the groups as a program receives them."""
    app = App(name="prog", default_parameter=DEFAULTS)

    @app.default
    def command(
        *,
        connection: ConnectionOptions = ConnectionOptions(),
        signing: SigningOptions = SigningOptions(),
        storage: StorageOptions = StorageOptions(),
        monitor: MonitorOptions = MonitorOptions(),
    ) -> list:
        return [connection, signing, storage, monitor]

    function, bound, _ = app.parse_args(arguments, exit_on_error=False, print_error=False)
    return function(*bound.args, **bound.kwargs)


def test_options_come_from_arguments_then_variables_then_defaults(monkeypatch):
    monkeypatch.setenv("AJ_NATS_URL", "nats://a")
    monkeypatch.setenv("AJ_REPLICAS", "3")
    connection, signing, storage, monitor = parsed("--server", "nats://b", "--monitor", "9000")
    assert (connection.server, connection.settings) == ("nats://b", {})
    assert signing.settings == {"signing_seed_file": None}
    assert storage.settings == {"replicas": 3}
    assert (monitor.monitor, monitor.monitor_host) == (9000, "127.0.0.1")


def test_a_context_is_a_setting_of_the_client():
    assert parsed("--context", "AJC")[0].settings == {"context": "AJC"}


def test_debug_overrides_the_level():
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    try:
        ServiceLogOptions(log_level="error", debug=True).start()
        assert root.level == logging.DEBUG
    finally:
        root.setLevel(level)
        for handler in set(root.handlers) - set(handlers):
            root.removeHandler(handler)


def test_an_invalid_level_is_refused():
    with pytest.raises(ConfigurationError, match="invalid log level 'loud'"):
        ServiceLogOptions(log_level="loud").start()
