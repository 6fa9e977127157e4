"""Ed25519 signatures over schedules, which Choria Async Jobs does not have.

A scheduler that signs tasks has to know that a schedule comes from someone who may create signed tasks. The signature
covers every field of a schedule and of its options. It is stored with the options, next to the schedule, where Choria
Async Jobs does not look.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from ajobs.protocol.schedule import Schedule, ScheduleOptions
from ajobs.protocol.signing import Signer, Verifier

PREFIX: Final = b"ajobs schedule 1\n"
"""The start of each signed message. No task's message starts with it, because task ids have no spaces."""

MOST_SIGNATURES: Final = 2
"""Signatures of a schedule to check. We write one, or two while a schedule changes."""

_NOT_SIGNED = frozenset({"signatures", "belongs_to"})
"""Fields of the options that are not signed: the signatures, and a copy of a field that is."""


def schedule_message(schedule: Schedule, options: ScheduleOptions) -> bytes:
    """Return the signed bytes of a schedule: a JSON array of both documents, different for any two schedules."""
    fields = msgspec.structs.asdict(options)
    signed = {name: value for name, value in fields.items() if name not in _NOT_SIGNED}
    # A new field of either document changes this message: increase the number in PREFIX, and accept both for a time.
    return PREFIX + msgspec.json.encode([msgspec.structs.asdict(schedule), signed], order="sorted")


def sign_schedule(schedule: Schedule, options: ScheduleOptions, signer: Signer) -> str:
    """Return the signature of a schedule with these options, in hex."""
    return signer.sign(schedule_message(schedule, options))


def is_schedule_signed(schedule: Schedule, options: ScheduleOptions, verifiers: Iterable[Verifier]) -> bool:
    """Return whether one of the options' signatures was made for this schedule with one of these keys."""
    if not options.signatures:
        return False
    message = schedule_message(schedule, options)
    # Checking takes time, and anyone who can write to the bucket chooses how many signatures there are.
    signatures = options.signatures[:MOST_SIGNATURES]
    return any(verifier.matches(message, each) for verifier in verifiers for each in signatures)
