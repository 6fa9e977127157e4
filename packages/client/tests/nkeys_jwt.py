"""An operator, an account with JetStream and a user, as JWTs that a nats-server takes."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import nkeys

UNLIMITED = -1


class Account:
    """Makes a server's configuration and a credentials file that belong together."""

    def __init__(self) -> None:
        self._operator, self._account, self._system = (
            self._pair(kind)
            for kind in (nkeys.PREFIX_BYTE_OPERATOR, nkeys.PREFIX_BYTE_ACCOUNT, nkeys.PREFIX_BYTE_ACCOUNT)
        )

    @staticmethod
    def _pair(kind: int) -> nkeys.KeyPair:
        return nkeys.from_seed(bytearray(nkeys.encode_seed(os.urandom(32), kind)))

    def _jwt(self, issuer: nkeys.KeyPair, subject: nkeys.KeyPair, kind: str, claims: dict[str, Any]) -> str:
        head = {"typ": "JWT", "alg": "ed25519-nkey"}
        body = {
            "jti": base64.b32encode(os.urandom(10)).decode(),
            "iat": 1_700_000_000,
            "iss": issuer.public_key.decode(),
            "sub": subject.public_key.decode(),
            "name": kind,
            "nats": {"type": kind, "version": 2} | claims,
        }
        signed = ".".join(_encode(json.dumps(part).encode()) for part in (head, body))
        return f"{signed}.{_encode(issuer.sign(signed.encode()))}"

    def server_config(self) -> str:
        limits = dict.fromkeys(
            ("subs", "data", "payload", "imports", "exports", "conn", "leaf", "mem_storage", "disk_storage", "streams",
             "consumer"),
            UNLIMITED,
        )  # fmt: skip
        operator = self._jwt(self._operator, self._operator, "operator", {})
        account = self._jwt(self._operator, self._account, "account", {"limits": limits | {"wildcards": True}})
        system = self._jwt(self._operator, self._system, "account", {})
        return (
            f"operator: {operator}\nresolver: MEMORY\nsystem_account: {self._system.public_key.decode()}\n"
            f"resolver_preload: {{ {self._account.public_key.decode()}: {account}\n"
            f"{self._system.public_key.decode()}: {system} }}\n"
        )

    def credentials(self) -> str:
        seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
        user = nkeys.from_seed(bytearray(seed))
        claims = {"subs": UNLIMITED, "data": UNLIMITED, "payload": UNLIMITED}
        jwt = self._jwt(self._account, user, "user", claims)
        return (
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{seed.decode()}\n------END USER NKEY SEED------\n"
        )


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
