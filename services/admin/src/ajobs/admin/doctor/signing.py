"""Checks of keys and signatures, with the keys that ``--sign`` and ``--verify`` give."""

from __future__ import annotations

from collections.abc import Iterator

from ajobs.admin.doctor.facts import Facts
from ajobs.admin.doctor.findings import Check, Verdict, always, problem, some
from ajobs.admin.text.human import plural


def _files(facts: Facts) -> Iterator[Verdict]:
    for path in facts.signing.exposed:
        yield problem(f"other users of this host can read the seed in {path}", f"'chmod 600 {path}'")


def _pair(facts: Facts) -> Iterator[Verdict]:
    if not facts.signing.belong_together:
        yield problem("the key of --verify refuses signatures of --sign", "use the public key that belongs to the seed")


def _signatures(facts: Facts) -> Iterator[Verdict]:
    signing = facts.signing
    if signing.wrong:
        yield problem(
            f"{plural(len(signing.wrong), 'task')} with an invalid signature: {some(signing.wrong)}",
            "workers with this key refuse them: find their producer, then 'ajc task delete ID'",
        )
    if signing.unsigned:
        yield problem(
            f"{plural(len(signing.unsigned), 'task')} without a signature: {some(signing.unsigned)}",
            "configure their producers to sign; until then workers with this key need --signatures-optional",
        )


def _signatures_are_fine(facts: Facts) -> str:
    if not facts.signing.verifies:
        return "not checked: pass a key with --verify or --sign"
    if not facts.signing.checked:
        return "no unfinished tasks"
    return f"{plural(facts.signing.checked, 'unfinished task')} checked, all signed by this key"


CHECKS = (
    Check("key files", _files, always("no seed can be read by other users")),
    Check("key pair", _pair, always("the keys match")),
    Check("signatures", _signatures, _signatures_are_fine),
)
