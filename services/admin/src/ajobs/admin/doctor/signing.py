"""Checks of keys and signatures, with the keys that ``--sign`` and ``--verify`` give."""

from __future__ import annotations

from collections.abc import Iterator

from ajobs.admin.doctor.facts import Facts
from ajobs.admin.doctor.findings import Check, Verdict, always, problem, some
from ajobs.admin.text.human import plural


def _files(facts: Facts) -> Iterator[Verdict]:
    for path in facts.signing.exposed:
        yield problem(f"others on this host may read the seed in {path}", f"'chmod 600 {path}'")


def _pair(facts: Facts) -> Iterator[Verdict]:
    if not facts.signing.belong_together:
        yield problem(
            "what is signed with --sign is refused with --verify", "use the public key that belongs to the seed"
        )


def _signatures(facts: Facts) -> Iterator[Verdict]:
    signing = facts.signing
    if signing.wrong:
        yield problem(
            f"{plural(len(signing.wrong), 'task')} signed by another key, or changed since: {some(signing.wrong)}",
            "workers with this key refuse them: find out who made them, then 'ajc task delete ID'",
        )
    if signing.unsigned:
        yield problem(
            f"{plural(len(signing.unsigned), 'task')} without a signature: {some(signing.unsigned)}",
            "give their producers the seed; workers with this key run them only with --signatures-optional",
        )


def _signatures_are_fine(facts: Facts) -> str:
    if not facts.signing.verifies:
        return "not looked at: give a key with --verify or --sign"
    if not facts.signing.looked_at:
        return "there is no unfinished task to look at"
    return f"{plural(facts.signing.looked_at, 'unfinished task')} looked at, all signed by this key"


CHECKS = (
    Check("key files", _files, always("no seed is open to others")),
    Check("key pair", _pair, always("the keys belong together")),
    Check("signatures", _signatures, _signatures_are_fine),
)
