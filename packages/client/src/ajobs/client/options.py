"""The options of a client, except those of its connection."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from ajobs.client.nats.credentials import warn_if_exposed
from ajobs.client.nats.secrets import secret_bytes
from ajobs.protocol.durations import Duration, as_ns
from ajobs.protocol.errors import ConfigurationError
from ajobs.protocol.queue import MAX_REPLICAS, Queue, default_queue
from ajobs.protocol.signing import Signer, Verifier, parse_key
from ajobs.protocol.subjects import DEFAULT_QUEUE


class ClientOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a client uses the store. Secrets are not part of its text."""

    queue: Queue | str | None = None
    """The queue for tasks that name none: its name, or its settings to make it with. None: ``DEFAULT``."""
    bind: bool = False
    """The queue has to exist: it is not made."""
    no_storage_init: bool = False
    """Make no stream, bucket or queue at all."""
    memory_storage: bool = False
    """Keep created streams in the server's memory instead of files."""
    replicas: int = 1
    """The number of servers that keep each created stream, 1 to 5."""
    task_retention: Duration = 0
    """How long a task is kept after its last change, when the store is created; 0: until it is deleted."""
    prometheus_port: int | None = None
    """Serve metrics on this port of the loopback address."""
    signing_key: bytes | None = None
    """A 32-byte Ed25519 seed to sign tasks with, and to verify them."""
    signing_seed_file: str | Path | None = None
    """A file with that seed as hex."""
    verification_key: bytes | str | Sequence[bytes | str] | None = None
    """32-byte public keys, or their hex, one of which must have signed each task. Two, while keys are changed."""
    verification_key_file: str | Path | Sequence[str | Path] | None = None
    """Files with such keys in hex."""
    signatures_optional: bool = False
    """Tasks without a signature are fine. Wrong signatures never are."""
    unsigned_schedules: Literal["refuse", "allow"] | None = None
    """Whether to create tasks for schedules without a signature. Default: refuse with a signing key, else allow."""
    schedule_keys: Sequence[bytes | str] = ()
    """More public keys, as bytes or hex, whose signatures on schedules are trusted, besides that of the signing key."""
    trace: bool = False
    """Carry OpenTelemetry's trace context to the handlers of tasks."""
    request_timeout: Duration = 5.0
    """How long to wait for the server's answer to one request."""
    patience: Duration = 30.0
    """For how long a save or an enqueue is repeated while the server cannot be reached."""

    def __repr__(self) -> str:
        """Show what differs from the defaults, and of keys only that they are set."""
        shown: list[str] = []
        for field in msgspec.structs.fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                shown.append(f"{field.name}={'***' if field.name in _SECRETS else repr(value)}")
        return f"ClientOptions({', '.join(shown)})"

    def __post_init__(self) -> None:
        """Refuse numbers out of range and keys that contradict each other.

        Raises:
            ConfigurationError: They do.
        """
        msgspec.structs.force_setattr(self, "signing_key", secret_bytes(self.signing_key))
        if not 1 <= self.replicas <= MAX_REPLICAS:
            raise ConfigurationError(f"replicas is {self.replicas}: use 1 to {MAX_REPLICAS}")
        as_ns(self.task_retention, "task_retention")
        as_ns(self.request_timeout, "request_timeout", positive=True)
        as_ns(self.patience, "patience")
        for one, other in _EXCLUSIVE:
            if getattr(self, one) is not None and getattr(self, other) is not None:
                raise ConfigurationError(f"{one} and {other} are both set: use one of them")
        if self.unsigned_schedules not in {None, "refuse", "allow"}:
            raise ConfigurationError(f"invalid unsigned_schedules {self.unsigned_schedules!r}: use 'refuse' or 'allow'")
        if self.bind and self.queue is None:
            raise ConfigurationError("bind needs the name of a queue: set queue")


_SECRETS = frozenset({"signing_key"})
_EXCLUSIVE = (
    ("signing_key", "signing_seed_file"),
    ("verification_key", "verification_key_file"),
    ("signing_seed_file", "verification_key"),
    ("signing_seed_file", "verification_key_file"),
)


def queue_of(options: ClientOptions) -> Queue:
    """Return the settings to make the client's queue with, should it be missing."""
    if isinstance(options.queue, Queue):
        return options.queue
    if options.queue is None or options.queue == DEFAULT_QUEUE:
        return default_queue()
    return Queue(name=options.queue)


class Keys(msgspec.Struct, frozen=True):
    """What to sign and verify with; either may be missing."""

    signer: Signer | None
    verifier: Verifier | None
    optional: bool


def keys_of(options: ClientOptions) -> Keys:
    """Read the keys. A seed verifies too, unless another key is given to verify with.

    Raises:
        InvalidKeyError: A key is not one. Nothing of it is in the text.
        ConfigurationError: A key file cannot be read.
    """
    seed = options.signing_key
    if options.signing_seed_file is not None:
        seed = parse_key("seed", _read(options.signing_seed_file))
        warn_if_exposed(options.signing_seed_file, "seed file")
    signer = None if seed is None else Signer(seed)
    public_keys = _public_keys(options)
    if public_keys:
        return Keys(signer, Verifier(*public_keys), options.signatures_optional)
    return Keys(signer, None if signer is None else signer.verifier, options.signatures_optional)


def _public_keys(options: ClientOptions) -> list[bytes]:
    given, files = options.verification_key, options.verification_key_file
    if files is not None:
        given = [_read(file) for file in ([files] if isinstance(files, str | Path) else files)]
    if given is None:
        return []
    several = [given] if isinstance(given, bytes | str) else given
    if not several:
        raise ConfigurationError("the list of verification keys is empty: pass a key, or None to verify nothing")
    return [parse_key("public key", each) if isinstance(each, str) else each for each in several]


def signature_mode(keys: Keys) -> str:
    """Return in a few words which tasks a worker with these keys runs, for its log."""
    if keys.verifier is None:
        return "off, every task runs"
    count = keys.verifier.key_count
    named = "1 key" if count == 1 else f"{count} keys"
    return f"optional, verified with {named}" if keys.optional else f"required, verified with {named}"


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as e:
        reason = e.strerror if isinstance(e, OSError) else "it is not text"
        raise ConfigurationError(f"cannot read the key file {path}: {reason}") from None
