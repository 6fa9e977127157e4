"""JetStream's errors as types. Its numeric codes are known here and nowhere else.

::

    StorageError                      of `ajobs.protocol.errors`
    └── JetStreamError                JetStream answered with an error
        ├── StreamNotFoundError
        ├── StreamNameInUseError      a stream of that name exists with other settings
        ├── StreamTooBusyError
        ├── ConsumerNotFoundError
        ├── ConsumerExistsError       a consumer of that name exists with other settings
        ├── MessageNotFoundError
        ├── RevisionError             a lost compare-and-set
        └── SettingsRefusedError      settings of a stream or consumer that the server does not accept

Two errors have a type that all layers know: `QueueFullError` (a stream holds as many messages as it may) and
`JetStreamNotEnabledError` (the server, or the account, has no JetStream).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ajobs.protocol.errors import JetStreamNotEnabledError, QueueFullError, StorageError, UnavailableError


class JetStreamError(StorageError):
    """JetStream answered a request with an error."""

    def __init__(self, message: str, *, err_code: int = 0) -> None:
        """Keep JetStream's numeric ``err_code``, which is 0 if the answer had none."""
        super().__init__(message)
        self.err_code = err_code


class StreamNotFoundError(JetStreamError):
    """The stream does not exist."""


class StreamNameInUseError(JetStreamError):
    """A stream of that name exists with other settings."""


class StreamTooBusyError(JetStreamError):
    """The stream has too many messages in flight; the message was not stored."""


class ConsumerNotFoundError(JetStreamError):
    """The consumer does not exist."""


class ConsumerExistsError(JetStreamError):
    """A consumer of that name exists with other settings."""


class MessageNotFoundError(JetStreamError):
    """No message has that sequence or subject."""


class RevisionError(JetStreamError):
    """A subject or key has another revision than expected: another client wrote it first."""

    reason = "revision_conflict"


class SettingsRefusedError(JetStreamError):
    """The server does not accept these settings of a stream or consumer."""


class ErrorAnswer(msgspec.Struct, gc=False):
    """An error as JetStream sends it."""

    code: int = 0
    err_code: int = 0
    description: str = ""


_NOT_ENABLED = frozenset({10039, 10076})
_STREAM_FULL = 10077
_TYPES: Mapping[int, type[JetStreamError]] = {
    10059: StreamNotFoundError,
    10058: StreamNameInUseError,
    10167: StreamTooBusyError,
    10014: ConsumerNotFoundError,
    10013: ConsumerExistsError,
    10148: ConsumerExistsError,
    10037: MessageNotFoundError,
    10071: RevisionError,
    10164: RevisionError,
    **dict.fromkeys((10005, 10023, 10025, 10047, 10052, 10074, 10081, 10096), SettingsRefusedError),
}


def error_of(answer: ErrorAnswer, what: str) -> UnavailableError:
    """Return the exception for JetStream's answer to a request; ``what`` names the request in its text."""
    text = f"{what}: {answer.description} ({answer.err_code})"
    if answer.err_code in _NOT_ENABLED:
        return JetStreamNotEnabledError(f"{text}: enable JetStream on the server and for this account")
    if answer.err_code == _STREAM_FULL:
        return QueueFullError(text)
    return _TYPES.get(answer.err_code, JetStreamError)(text, err_code=answer.err_code)
