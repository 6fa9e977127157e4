"""Write the authorization of the NATS server, deploy/nats/accounts-*.conf, from the table in scripts/nats_grants.py.

A nats-server checks the subject that a client publishes to, never the reply subject that it names, and publishes its
own answers there: acknowledgements, API answers, stored messages with their headers. In the account that holds the
streams, a reply subject can be a JetStream API call or the key of a bucket, so permissions alone protect nothing there.
The preset ``isolated`` therefore keeps the streams in an account that only admins use. Every other role has an account
of its own, without JetStream, and imports as services what it may use. The server then replaces the reply subject by a
random one, and carries the answer back into the role's account, where it reaches an inbox of that role, or again one of
its imports.

The preset ``trusted`` puts all roles into one account, which is faster. Every key is then as good as the admin's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from scripts.nats_grants import (
    ACCOUNTS,
    ADMIN,
    ANSWERS,
    CANCEL,
    CONTROL,
    DATA,
    EVENTS,
    GRANTS,
    HANDLER,
    HEARD_BY,
    NOTICES,
    PRODUCER,
    PURPOSES,
    REMOTE,
    REMOTE_HANDLERS,
    ROLES,
    WORKER,
    published,
    subscribed,
)  # fmt: skip

ROOT = Path(__file__).parents[1]

# ---- the configuration


def isolated() -> str:
    """Return the configuration with one account for each role."""
    return "\n".join([*HEADER, *ISOLATED, "accounts {", *_data_account(), *_role_accounts(), "}", ""])


def trusted() -> str:
    """Return the configuration with one account for all roles."""
    users = [line for role in ROLES for line in _user(role, indent="      ")]
    return "\n".join(
        [*HEADER, *TRUSTED, "accounts {", f"  {DATA} {{", *_limits(), "    users: [", *users, "    ]", "  }", "}", ""]
    )


HEADER = [
    "# Authorization of the NATS server, generated from scripts/nats_grants.py by `make nats-accounts`.",
    "# The variables are the public NKeys of the users, in nats_users.conf from `make secrets`.",
    "# After a change of accounts restart the server: a reload leaves JetStream out of reach of other accounts.",
    "include ./nats_users.conf",
    "",
]
ISOLATED = [
    "# Preset `isolated`: the streams are in an account that only admins use. Each other role imports services.",
    "# Keep leaf nodes and gateways out of the accounts of roles: a leaf node may name a reply subject of $JS.ACK.",
]
TRUSTED = [
    "# Preset `trusted`: all roles share the account that holds the streams. The permissions prevent mistakes, not",
    "# attacks: the server does not check reply subjects, so every key is as good as the admin's.",
]


def _limits() -> list[str]:
    return [
        "    jetstream {",
        "      # Less than max_memory_store and max_file_store of the server.",
        "      max_mem: 64MB",
        "      max_file: 15GB",
        "      max_streams: 1024",
        "      max_consumers: 4096",
        "    }",
    ]


def _user(role: str, indent: str = "      ") -> list[str]:
    lines = [f"# {line}" for line in PURPOSES[role]]
    lines += ["{", f"  nkey: ${role.upper()}", "  permissions {"]
    publishes = published(role)
    if publishes:
        lines += ["    publish: [", *(f'      "{subject}"' for subject in publishes), "    ]"]
    else:
        lines += ['    publish: { deny: ">" }']
    lines += ["    subscribe: [", *(f'      "{subject}"' for subject in subscribed(role)), "    ]"]
    if role in ANSWERS:
        what, expires = ANSWERS[role]
        lines += [f"    # One answer to each of the {what} that it receives.",
                  f'    allow_responses: {{ max: 1, expires: "{expires}" }}']  # fmt: skip
    return [indent + line for line in [*lines, "  }", "}"]]


def _data_account() -> Iterator[str]:
    yield f"  {DATA} {{"
    yield from _limits()
    yield from ["    users: [", *_user(ADMIN), "    ]", "    exports: ["]
    for grant in GRANTS:
        answers = f", response_type: {grant.answers}" if grant.answers else ""
        names = ", ".join(ACCOUNTS[role] for role in grant.roles)
        yield f'      {{ service: "{grant.subject}"{answers}, threshold: "{grant.threshold}", accounts: [{names}] }}'
    for subject, (roles, _) in NOTICES.items():
        yield f'      {{ stream: "{subject}", accounts: [{", ".join(ACCOUNTS[role] for role in roles)}] }}'
    yield from ["    ]", "    imports: ["]
    yield _service(WORKER, CONTROL)
    yield _service(REMOTE, REMOTE_HANDLERS)
    yield "      # No stream here may take CHORIA_AJ.E.>: these messages carry reply subjects that clients chose."
    yield from (_stream(role, event) for role, events in EVENTS.items() for event in events)
    yield from ["    ]", "  }"]


def _role_accounts() -> Iterator[str]:
    for role in ROLES:
        if role == ADMIN:
            continue
        yield from ["", f"  {ACCOUNTS[role]} {{", "    users: [", *_user(role), "    ]"]
        exports = list(_exports(role))
        if exports:
            yield from ["    exports: [", *exports, "    ]"]
        imports = list(_imports(role))
        if imports:
            yield from ["    imports: [", *imports, "    ]"]
        yield "  }"


def _exports(role: str) -> Iterator[str]:
    """Yield what other accounts may import. Events go straight to each of them: imports are never exported again."""
    hearers = _names([ADMIN, *HEARD_BY.get(role, ())])
    yield from (f'      {{ stream: "{event}", accounts: [{hearers}] }}' for event in EVENTS.get(role, ()))
    if role == WORKER:
        admins = _names([ADMIN])
        yield f'      {{ service: "{CONTROL}", response_type: stream, threshold: "10s", accounts: [{admins}] }}'
        yield f'      {{ service: "{CANCEL}", threshold: "10s", accounts: [{_names([PRODUCER])}] }}'
    if role == REMOTE:
        yield f'      {{ service: "{REMOTE_HANDLERS}", threshold: "{HANDLER}", accounts: [{_names([WORKER, ADMIN])}] }}'


def _imports(role: str) -> Iterator[str]:
    yield from (_service(ADMIN, grant.subject) for grant in GRANTS if role in grant.roles)
    if role == PRODUCER:
        yield _service(WORKER, CANCEL)
    if role == WORKER:
        yield _service(REMOTE, REMOTE_HANDLERS)
    yield from (_stream(ADMIN, subject) for subject, (roles, _) in NOTICES.items() if role in roles)
    for other, hearers in HEARD_BY.items():
        if role in hearers:
            yield from (_stream(other, event) for event in EVENTS[other])


def _names(roles: Iterable[str]) -> str:
    return ", ".join(ACCOUNTS[role] for role in roles)


def _service(role: str, subject: str) -> str:
    return f'      {{ service: {{ account: {ACCOUNTS[role]}, subject: "{subject}" }} }}'


def _stream(role: str, subject: str) -> str:
    return f'      {{ stream: {{ account: {ACCOUNTS[role]}, subject: "{subject}" }} }}'


# ---- the tables of docs/authorization.md


def tables() -> dict[str, str]:
    """Return the Markdown tables of subjects, their roles and their purpose, by the name of their marker."""
    return {"publish": _table(published), "subscribe": _table(subscribed)}


def _table(allowed: Callable[[str], dict[str, str]]) -> str:
    rows: dict[str, tuple[list[str], str]] = {}
    for role in ROLES:
        for subject, why in allowed(role).items():
            rows.setdefault(subject, ([], why))[0].append(role)
    lines = [f"| `{subject}` | {', '.join(roles)} | {why} |" for subject, (roles, why) in sorted(rows.items())]
    return "\n".join(["| subject | roles | to |", "|---|---|---|", *lines])


def with_tables(page: str) -> str:
    """Return a page with current tables between its markers, ``<!-- grants: publish -->`` and ``<!-- end -->``."""
    for name, table in tables().items():
        start, end = f"<!-- grants: {name} -->", "<!-- end -->"
        before, _, rest = page.partition(start)
        page = f"{before}{start}\n\n{table}\n\n{end}{rest.partition(end)[2]}"
    return page


PRESETS = {"isolated": isolated, "trusted": trusted}


def main() -> int:
    for name, text in PRESETS.items():
        (ROOT / f"deploy/nats/accounts-{name}.conf").write_text(text(), encoding="ascii")
    page = ROOT / "docs/authorization.md"
    page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
