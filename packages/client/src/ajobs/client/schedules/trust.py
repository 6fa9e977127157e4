"""Which schedules a client trusts enough to sign tasks for them.

A signature on a task says that its content comes from someone with the seed. A client with the seed must not give that
signature to a schedule that anyone with access to the bucket may have written. It therefore creates tasks only for
schedules that are signed with a trusted key, and signs a change only if the schedule was trusted before.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import msgspec

from ajobs.client.options import ClientOptions, Keys
from ajobs.protocol.errors import ConfigurationError
from ajobs.protocol.schedule import Schedule, ScheduleOptions
from ajobs.protocol.schedule_signing import is_schedule_signed, schedule_message, sign_schedule
from ajobs.protocol.signing import Verifier, parse_key

MOST_REMEMBERED = 100_000
"""Schedules whose valid signature is remembered, because all schedules are read again every minute."""


class Trust:
    """Checks and writes the signatures of schedules."""

    def __init__(self, options: ClientOptions, keys: Keys) -> None:
        """Trust the key of the client's seed, and the ``schedule_keys``.

        Raises:
            InvalidKeyError: One of the ``schedule_keys`` is not a public key.
            ConfigurationError: Unsigned schedules are to be refused, but no key to check signatures is set.
        """
        own = keys.verifier if keys.signer is None else keys.signer.verifier
        others = [parse_key("public key", key) if isinstance(key, str) else key for key in options.schedule_keys]
        self._signer = keys.signer
        self._verifiers: Sequence[Verifier] = [*([] if own is None else [own]), *map(Verifier, others)]
        self._allows_unsigned = options.unsigned_schedules == "allow" or (
            options.unsigned_schedules is None and keys.signer is None and (own is None or keys.optional) and not others
        )
        if options.unsigned_schedules == "refuse" and not self._verifiers:
            msg = "unsigned_schedules is 'refuse' without a key: set a signing seed, or schedule_keys"
            raise ConfigurationError(msg)
        self._good: set[bytes] = set()

    def require_key(self) -> None:
        """Raise `ConfigurationError` if the client cannot sign."""
        if self._signer is None:
            raise ConfigurationError("cannot sign schedules without a signing key: set a signing seed")

    def problem(self, schedule: Schedule, options: ScheduleOptions) -> str | None:
        """Return why a schedule is not trusted, with the remedy; ``None`` if it is."""
        if not self._verifiers:
            return None
        if not options.signatures:
            return None if self._allows_unsigned else f"not signed: {_remedy(schedule.name)}"
        return None if self._is_signed(schedule, options) else f"wrong signature: {_remedy(schedule.name)}"

    def signed(
        self,
        schedule: Schedule,
        options: ScheduleOptions,
        before: tuple[Schedule, ScheduleOptions] | None = None,
        *,
        vouch: bool = False,
    ) -> ScheduleOptions:
        """Return the options to store with a schedule, with signatures if the client may sign it.

        Args:
            schedule: The schedule as it will be stored.
            options: Its options.
            before: The schedule as it is stored now, with its options. Its own signature has to be valid, because the
                new documents contain parts of it.
            vouch: Sign although the schedule was not signed before.
        """
        if self._signer is None:
            return msgspec.structs.replace(options, signatures=())
        if before is not None and not vouch and not self._is_signed(*before):
            return msgspec.structs.replace(options, signatures=())
        signatures = [sign_schedule(schedule, options, self._signer)]
        if before is not None and before[0] != schedule:
            # The options are stored first. Until the schedule is, they have to be valid with the stored schedule.
            signatures.append(sign_schedule(before[0], options, self._signer))
        return msgspec.structs.replace(options, signatures=tuple(signatures))

    def _is_signed(self, schedule: Schedule, options: ScheduleOptions) -> bool:
        message = schedule_message(schedule, options) + "".join(options.signatures).encode()
        digest = sha256(message).digest()
        if digest in self._good:
            return True
        if not is_schedule_signed(schedule, options, self._verifiers):
            return False
        if len(self._good) >= MOST_REMEMBERED:
            self._good.clear()
        self._good.add(digest)
        return True


def _remedy(name: str) -> str:
    return f"check the schedule, then run 'ajc schedule sign {name}'"
