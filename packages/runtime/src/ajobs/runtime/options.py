"""The options that programs share, each declared once: name, ``AJ_*`` variable, type, default and help.

A class is a group of options, and each field is one option. A program takes a whole group as one parameter::

    @app.default
    def serve(*, connection: ConnectionOptions = ConnectionOptions(), log: LogOptions = LogOptions()) -> int: ...

A program declares its own options in the same way, with `option` and `group`. A variable has one meaning in all
programs: a test compares them. Old names of variables are in `ajobs.runtime.environment`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

if TYPE_CHECKING:
    from ajobs.client.settings import Settings

LOOPBACK = "127.0.0.1"


def default_text(value: object) -> object:
    """Return a default for the help, and ``None`` for those that a reader expects: off, not set, empty."""
    return None if value is False or value in (None, (), "") else value


DEFAULTS = Parameter(negative=(), negative_iterable=(), show_default=default_text)
"""The ``default_parameter`` of an app: switches have no ``--no-`` form, and trivial defaults are not shown."""


def option(*variables: str, text: str, name: str | tuple[str, ...] | None = None, **settings: Any) -> Parameter:
    """Declare an option.

    Args:
        variables: Environment variables that set it; the first that is set counts.
        text: The help text.
        name: Its names on the command line. Default: the name of the parameter, with dashes.
        settings: More settings of a cyclopts ``Parameter``.
    """
    return Parameter(name=name, env_var=variables, help=text, **settings)


def group(title: str) -> Parameter:
    """Declare a class to be a group of options, shown under a title of its own. Use it as a decorator."""
    return Parameter(name="*", group=Group(title, sort_key=10))


@group("Connection")
@dataclass(frozen=True, kw_only=True)
class ConnectionOptions:
    """Where NATS is."""

    server: Annotated[
        str | None,
        option(
            "AJ_NATS_URL",
            text="URL of a NATS server. Default: NATS_URL, else the NATS context, else nats://127.0.0.1:4222.",
        ),
    ] = None
    context: Annotated[str | None, option("AJ_NATS_CONTEXT", text="Name of a context of the nats command line.")] = None

    @property
    def settings(self) -> Settings:
        """The settings for `Client.connect`, whose first argument is `server`."""
        return {} if self.context is None else {"context": self.context}


@group("Signatures")
@dataclass(frozen=True, kw_only=True)
class SigningOptions:
    """How tasks are signed."""

    signing_seed_file: Annotated[
        str | None,
        option("AJ_SIGNING_SEED_FILE", text="File with the Ed25519 seed, in hex, that tasks are signed with."),
    ] = None

    @property
    def settings(self) -> Settings:
        """The settings for `Client.connect`."""
        return {"signing_seed_file": self.signing_seed_file}


@group("Signatures")
@dataclass(frozen=True, kw_only=True)
class ScheduleSignatureOptions:
    """Which schedules a program with a signing seed creates tasks for."""

    unsigned_schedules: Annotated[
        Literal["refuse", "allow"] | None,
        option(
            "AJ_UNSIGNED_SCHEDULES",
            text="Whether schedules without a signature create tasks. Default: refuse with a signing seed, else allow.",
        ),
    ] = None
    schedule_keys: Annotated[
        str | None,
        option(
            "AJ_SCHEDULE_KEYS",
            text="More public keys, in hex and separated by commas, whose signatures on schedules are trusted.",
        ),
    ] = None

    @property
    def settings(self) -> Settings:
        """The settings for `Client.connect`."""
        keys = [key.strip() for key in (self.schedule_keys or "").split(",")]
        return {"unsigned_schedules": self.unsigned_schedules, "schedule_keys": [key for key in keys if key]}


@group("Logging")
@dataclass(frozen=True, kw_only=True)
class LogOptions:
    """How a program logs."""

    log_format: Annotated[
        Literal["text", "json"],
        option("AJ_LOG_FORMAT", text="Log format: text for people, or json with one object per line."),
    ] = "text"
    log_level: Annotated[
        str,
        option(
            "AJ_LOG_LEVEL",
            text="Lowest level to log: debug, info, warning or error. Workers log starts and ends of tasks at info.",
        ),
    ] = "info"

    def start(self, *, debug: bool = False) -> None:
        """Start logging to the error output.

        Args:
            debug: Log everything, whatever the level.

        Raises:
            ConfigurationError: The level does not exist.
        """
        from ajobs.runtime.logging import start_logging  # a help page needs no logging

        start_logging(level="debug" if debug else self.log_level, log_format=self.log_format)

    def restore(self, *, debug: bool = False) -> None:
        """Go on logging after an application has configured logging for itself."""
        from ajobs.runtime.logging import restore_logging  # a help page needs no logging

        restore_logging(level="debug" if debug else self.log_level, log_format=self.log_format)


@group("Logging")
@dataclass(frozen=True, kw_only=True)
class ServiceLogOptions(LogOptions):
    """How a program logs that has no global ``--debug``."""

    debug: Annotated[bool, option("AJ_DEBUG", text="Log at level debug, and print the traceback of a failure.")] = False

    def start(self, *, debug: bool = False) -> None:
        """Start logging as the options say; see `LogOptions.start`."""
        super().start(debug=debug or self.debug)


@group("Monitoring")
@dataclass(frozen=True, kw_only=True)
class MonitorOptions:
    """Where a process serves its metrics and health."""

    monitor: Annotated[
        int | None, option("AJ_MONITOR", text="Port for /metrics, /healthz and /readyz, without authentication.")
    ] = None
    monitor_host: Annotated[str, option("AJ_MONITOR_HOST", text="Address for --monitor to listen on.")] = LOOPBACK


@group("Storage")
@dataclass(frozen=True, kw_only=True)
class StorageOptions:
    """How missing streams and buckets are created."""

    replicas: Annotated[
        int,
        option("AJ_REPLICAS", text="Number of NATS servers, 1 to 5, that keep each stream and bucket created here."),
    ] = 1

    @property
    def settings(self) -> Settings:
        """The settings for `Client.connect`."""
        return {"replicas": self.replicas}
