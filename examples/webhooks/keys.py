"""Create missing keys: ``python -m examples.webhooks.keys [URL]``, for a receiver at that address."""

from __future__ import annotations

import base64
import secrets
import sys
from pathlib import Path

import msgspec

from ajobs.protocol.signing import Signer

from .endpoints import Endpoint
from .signature import SECRET_PREFIX


def make_keys(folder: Path, url: str) -> None:
    """Create missing files: the producer's seed, the workers' public key, and the endpoint ``shop`` with a secret."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    seed = secrets.token_bytes(32)
    if write_new(folder / "producer.seed", seed.hex().encode()):
        write_new(folder / "producer.public", Signer(seed).public_key_hex.encode())
    secret = SECRET_PREFIX + base64.b64encode(secrets.token_bytes(24)).decode()
    # Compose mounts the file with its mode into a container with another user. The mode of the folder protects it here.
    write_new(folder / "endpoints.json", msgspec.json.encode({"shop": Endpoint(url, secret)}), mode=0o444)


def write_new(path: Path, data: bytes, mode: int = 0o600) -> bool:
    """Write a file unless it exists, and return whether it was written."""
    try:
        path.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        print(f"{path} already exists")
        return False
    path.write_bytes(data)
    path.chmod(mode)
    print(f"created {path}")
    return True


if __name__ == "__main__":
    make_keys(Path("webhook-keys"), sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080/")
