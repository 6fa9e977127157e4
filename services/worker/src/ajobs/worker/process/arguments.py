"""The options of ``ajobs-worker``, in groups; those that programs share are in `ajobs.runtime.options`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from ajobs.client.settings import Settings
from ajobs.protocol.durations import MILLISECOND_NS, as_ns, as_seconds, from_ns
from ajobs.protocol.errors import ConfigurationError
from ajobs.protocol.subjects import DEFAULT_QUEUE
from ajobs.runtime.options import ConnectionOptions, SigningOptions, group, option
from ajobs.runtime.worker_file import WorkerConfig
from ajobs.worker.options import WorkerOptions
from ajobs.worker.process.serve import QueueShare


def _whole(_: object, value: str, *, delimiter: str | None = None) -> list[str]:  # noqa: ARG001 - called by cyclopts
    """Keep the value of a variable whole: the path of a file may have spaces."""
    return [value]


@group("Queues")
@dataclass(frozen=True, kw_only=True)
class QueueArguments:
    """The queues to work on."""

    queue: Annotated[
        tuple[str, ...],
        option(
            "AJ_WORK_QUEUE",
            "AJ_QUEUE",
            text="Queue to work on, or NAME=N to run at most N of its tasks at once here. A missing queue is created. "
            "Repeatable, or several separated by commas. Default: DEFAULT.",
        ),
    ] = ()
    weight: Annotated[
        tuple[str, ...],
        option(
            "AJ_WEIGHT",
            text="NAME=N: start N tasks of this queue for each one of a queue with weight 1, while both have some.",
        ),
    ] = ()
    bind_queue: Annotated[
        bool,
        option(
            "AJ_BIND_QUEUE",
            name=("--bind-queue", "--bind"),
            text="Fail if a queue does not exist. Default: create it.",
        ),
    ] = False
    max_run_time: Annotated[
        str | None,
        option(
            "AJ_MAX_RUN_TIME",
            text="Max run time of queues created by this worker, such as 90s or 1h. Existing queues keep theirs.",
        ),
    ] = None
    max_concurrent: Annotated[
        int | None,
        option(
            "AJ_MAX_CONCURRENT",
            text="Running tasks, and tasks that wait for a retry or parents, in queues created by this worker.",
        ),
    ] = None

    def shares(self, config: WorkerConfig | None) -> tuple[QueueShare, ...]:
        """Return the queues with their limits and weights; a configuration file names the queue if no option does.

        Raises:
            ConfigurationError: A limit or weight is not a number of 1 or more, or a weight is for another queue.
        """
        named = self.queue or ((config.queue,) if config is not None and config.queue else (DEFAULT_QUEUE,))
        weight_of = {name: _number("weight", name, count) for name, count in _pairs(self.weight)}
        shares = tuple(
            QueueShare(
                name=name, concurrency=_number("queue", name, count) if count else None, weight=weight_of.pop(name, 1)
            )
            for name, count in _pairs(named)
        )
        if weight_of:
            raise ConfigurationError(
                f"--weight names queues that are not worked on: {', '.join(weight_of)}. "
                "Add --queue NAME for each, or remove the weight"
            )
        return shares

    @property
    def new_queue(self) -> dict[str, Any]:
        """The settings of queues that this worker creates."""
        settings: dict[str, Any] = {}
        if self.max_run_time is not None:
            requested_ns = as_ns(self.max_run_time, "--max-run-time", positive=True)
            settings["max_run_time"] = from_ns(max(requested_ns, MILLISECOND_NS))
        if self.max_concurrent is not None:
            settings["max_concurrent"] = self.max_concurrent
        return settings


@group("Tasks")
@dataclass(frozen=True, kw_only=True)
class TaskArguments:
    """How tasks are run."""

    concurrency: Annotated[int, option("AJ_CONCURRENCY", text="Tasks that each process runs at once.")] = 10
    grace: Annotated[str, option("AJ_GRACE", text="How long running tasks may continue after a stop, such as 20s.")] = (
        "20s"
    )
    retry_policy: Annotated[
        str | None,
        option("AJ_RETRY_POLICY", text="Delays between tries: default, 10m, 1h or 1m. Handlers may have their own."),
    ] = None
    discard: Annotated[
        tuple[str, ...],
        option("AJ_DISCARD", text="Delete tasks that reach this state: complete, expired or terminated. Repeatable."),
    ] = ()

    @property
    def grace_s(self) -> float:
        """Seconds for which running tasks may continue after a stop.

        Raises:
            ConfigurationError: ``--grace`` is not a duration, or is negative.
        """
        return as_seconds(self.grace, "--grace")

    def worker_options(self, config: WorkerConfig | None) -> WorkerOptions:
        """Return the options of the worker; options override the configuration file. Raises as `WorkerOptions` does."""
        return WorkerOptions(
            concurrency=self.concurrency,
            retry_policy=self.retry_policy or (config.retry if config is not None else "") or "default",
            discard_states=self.discard or (config.discard if config is not None else ()),
            grace=self.grace_s,
        )


@group("Processes")
@dataclass(frozen=True, kw_only=True)
class ProcessArguments:
    """The number of processes, and their names."""

    name: Annotated[str | None, option("AJ_NAME", text="Name of this worker. Default: host name and process ID.")] = (
        None
    )
    processes: Annotated[
        int,
        option(
            "AJ_PROCESSES",
            text="Processes to run; one that ends unexpectedly is restarted. With --monitor, each has the next port.",
        ),
    ] = 1
    watch: Annotated[
        bool, option("AJ_WATCH", text="Restart when code below the working directory changes, for development.")
    ] = False

    @property
    def is_supervised(self) -> bool:
        """Whether a supervisor has to run the processes."""
        return self.processes != 1 or self.watch


@group("Signatures")
@dataclass(frozen=True, kw_only=True)
class VerifyingOptions(SigningOptions):
    """How tasks are signed and verified."""

    verification_key: Annotated[
        tuple[str, ...],
        option(
            "AJ_VERIFICATION_KEY",
            text="Ed25519 public key in hex, or a file with it, that verifies tasks before a run. Repeatable, or "
            "several with commas, while keys change.",
            env_var_split=_whole,
        ),
    ] = ()
    signatures_optional: Annotated[
        bool, option("AJ_SIGNATURES_OPTIONAL", text="Also run tasks without a signature.")
    ] = False
    require_signatures: Annotated[
        bool, option("AJ_REQUIRE_SIGNATURES", text="Do not start unless every task needs a valid signature.")
    ] = False

    @property
    def public_keys(self) -> Settings:
        """The settings for `Client.connect` that verify tasks.

        Raises:
            ConfigurationError: A key is empty, or some keys are files and others hex.
        """
        if not self.verification_key:
            return {}
        keys = [key for text in self.verification_key for key in ([text] if _is_file(text) else text.split(","))]
        if not all(key.strip() for key in keys):
            raise ConfigurationError("--verification-key is empty: pass a public key in hex, or a file with it")
        files = [key for key in keys if _is_file(key)]
        if files and len(files) < len(keys):
            raise ConfigurationError("--verification-key has files and keys in hex: use one form for all of them")
        return {"verification_key_file": files} if files else {"verification_key": keys}

    def check_required(self, settings: Settings) -> None:
        """Refuse settings that accept tasks without a signature if signatures are required.

        Raises:
            ConfigurationError: They do.
        """
        if not self.require_signatures:
            return
        if settings.get("signatures_optional"):
            raise ConfigurationError("signatures are both required and optional: remove one of the settings")
        if not self.verification_key and self.signing_seed_file is None:
            raise ConfigurationError("--require-signatures needs a key: pass --verification-key or --signing-seed-file")


def client_settings(connection: ConnectionOptions, signing: VerifyingOptions, config: WorkerConfig | None) -> Settings:
    """Return the settings for `Client.connect`; options override the configuration file."""
    settings: Settings = {
        **signing.settings,
        "signatures_optional": signing.signatures_optional or bool(config and config.task_signatures_optional),
        "name": "ajobs-worker",
    }
    if config is not None and config.nats and connection.server is None:
        settings["context"] = config.nats
    settings |= connection.settings
    settings |= signing.public_keys
    signing.check_required(settings)
    return settings


def _is_file(text: str) -> bool:
    try:
        # Other programs of ajobs pass pipes, which are not regular files.
        return bool(text) and Path(text).exists() and not Path(text).is_dir()
    except OSError:  # several keys are longer than the name of a file can be
        return False


def _pairs(texts: tuple[str, ...]) -> list[tuple[str, str]]:
    found = [text.strip().partition("=") for several in texts for text in several.split(",") if text.strip()]
    return [(name, count) for name, _, count in found]


def _number(option_name: str, name: str, text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise ConfigurationError(f"invalid --{option_name} {f'{name}={text}'!r}: use NAME=N with a number of 1 or more")
    return number
