"""Create the secrets of the stack in ./secrets: `make secrets`, or `make secrets PRESET=trusted`.

Existing secrets are kept, so it can run again. It needs no packages: Python, and for the certificates of
compose.cluster.yaml the command openssl. Only the owner can enter the folder. All users can read the files in it,
because Compose mounts them unchanged into containers that run as other users.

The preset chooses the authorization of the NATS server, see scripts/nats_accounts.py. Without one, the present preset
stays, and a new folder gets `isolated`.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

from scripts.nats_accounts import PRESETS
from scripts.nats_grants import ROLES

NODES = ("nats-1", "nats-2", "nats-3")
CERTIFICATE_DAYS = "3650"

# An NKey is a kind, 32 bytes and a checksum in base 32; one that is a seed has both its kinds before them.
SEED = 18 << 3
USER = 20 << 3

P = 2**255 - 19
D = -121665 * pow(121666, P - 2, P) % P
BASE_Y = 4 * pow(5, P - 2, P) % P

Point = tuple[int, int, int, int]


def main() -> int:
    parser = argparse.ArgumentParser(prog="make secrets", description="Create the secrets of the stack.")
    parser.add_argument("--folder", type=Path, default=Path("secrets"), help="default: %(default)s")
    parser.add_argument("--preset", choices=PRESETS, help="default: the present one, or isolated")
    arguments = parser.parse_args()
    created, missing = write_all(arguments.folder, arguments.preset or "")
    print(f"{arguments.folder}: {'created ' + ', '.join(created) if created else 'nothing to create'}")
    if missing:
        print(f"no certificates for compose.cluster.yaml: {missing}", file=sys.stderr)
    return 0


def write_all(folder: Path, preset: str = "") -> tuple[list[str], str]:
    """Create what is missing; return the names of new files, and why there are no certificates, if so."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    made: list[str] = []

    def write(name: str, text: str, *, follows: bool = False) -> str:
        """Write a file unless it exists, or whenever it ``follows`` from others; return its content."""
        path = folder / name
        if not path.exists() or (follows and path.read_text(encoding="ascii") != text):
            new = path.with_suffix(".new")
            new.write_text(text, encoding="ascii")
            new.chmod(0o444)
            new.replace(path)  # atomic
            made.append(name)
        return path.read_text(encoding="ascii").strip()

    users = ["# The public keys of the users in nats_accounts.conf.\n"]
    for role in ROLES:
        seed = seed_of(write(f"nats_{role}.nk", nkey(os.urandom(32), SEED, USER) + "\n"))
        users.append(f'{role.upper()}: "{nkey(public_key(seed), USER)}"\n')
    write("nats_users.conf", "".join(users), follows=True)
    accounts = folder / "nats_accounts.conf"
    write("nats_accounts.conf", PRESETS[preset or present_preset(accounts)](), follows=True)

    signing = write("signing_seed", os.urandom(32).hex() + "\n")
    write("verification_key", public_key(bytes.fromhex(signing)).hex() + "\n", follows=True)
    token = write("admin_token", "ajt_" + secrets.token_urlsafe(32) + "\n")
    write("admin_tokens", f"admin admin sha256:{hashlib.sha256(token.encode()).hexdigest()}\n")
    write("grafana_password", secrets.token_urlsafe(18) + "\n")
    for role in ("producer", "observer", "admin"):
        write(f"{role}.env", environment(role, folder.resolve()), follows=True)
    missing = certificates(folder / "tls", made)
    return made, missing


def present_preset(accounts: Path) -> str:
    """Return the preset of an existing configuration; ``isolated`` without one."""
    text = accounts.read_text(encoding="ascii") if accounts.exists() else ""
    return "trusted" if "Preset `trusted`" in text else "isolated"


def environment(role: str, folder: Path) -> str:
    """Return the shell commands that make this host's programs connect as a role."""
    variables = {
        "NATS_URL": "nats://127.0.0.1:${NATS_PORT:-4222}",
        "NATS_NKEY": str(folder / f"nats_{role}.nk"),
        "NATS_INBOX_PREFIX": f"_INBOX.{role}",
    }
    if role != "observer":
        variables["AJ_SIGNING_SEED_FILE"] = str(folder / "signing_seed")
    return "".join(f'export {name}="{value}"\n' for name, value in variables.items())


# ---- NKeys


def nkey(key: bytes, *kinds: int) -> str:
    first, second = (*kinds, None)[:2]
    head = bytes([first]) if second is None else bytes([first | second >> 5, (second & 31) << 3])
    raw = head + key
    return base64.b32encode(raw + crc16(raw).to_bytes(2, "little")).rstrip(b"=").decode()


def seed_of(text: str) -> bytes:
    return base64.b32decode(text + "=" * (-len(text) % 8))[2:34]


def crc16(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1 ^ (0x1021 if value & 0x8000 else 0)) & 0xFFFF
    return value


def public_key(seed: bytes) -> bytes:
    """Return the Ed25519 public key of a seed (RFC 8032, section 5.1.5)."""
    number = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little")
    number = number & ((1 << 254) - 8) | 1 << 254
    x = recover_x(BASE_Y)
    # Points are (X, Y, Z, T) with x = X/Z, y = Y/Z, x*y = T/Z.
    point, power = (0, 1, 1, 0), (x, BASE_Y, 1, x * BASE_Y % P)
    while number:
        if number & 1:
            point = add(point, power)
        power = add(power, power)
        number >>= 1
    x, y = (part * pow(point[2], P - 2, P) % P for part in point[:2])
    return (y | (x & 1) << 255).to_bytes(32, "little")


def recover_x(y: int) -> int:
    """Return the even x coordinate of the point of the curve with a y coordinate."""
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P)
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return x if x % 2 == 0 else P - x


def add(one: Point, other: Point) -> Point:
    """Return the sum of two points (RFC 8032, section 5.1.4)."""
    (x1, y1, z1, t1), (x2, y2, z2, t2) = one, other
    a, b = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    c, d = 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


# ---- certificates of the cluster's nodes


def certificates(folder: Path, made: list[str]) -> str:
    """Create an authority and a certificate for each node; return the reason if that is impossible."""
    names = [f"{node}.{kind}" for node in NODES for kind in ("pem", "key")]
    if all((folder / name).exists() for name in ("ca.pem", *names)):
        return ""
    if shutil.which("openssl") is None:
        return "openssl is not installed: install it and run `make secrets` again"
    folder.mkdir(exist_ok=True)
    # Whatever the umask of the caller is: containers, which run as other users, mount this folder by itself.
    folder.chmod(0o755)
    ca, ca_key = str(folder / "ca.pem"), str(folder / "ca.key")
    shape = folder / "openssl.cnf"
    try:
        shape.write_text(SHAPE, encoding="ascii")
        openssl(*NEW_KEY, "-out", ca_key)
        openssl("req", "-x509", "-new", "-sha256", "-key", ca_key, "-out", ca, "-days", CERTIFICATE_DAYS,
                "-subj", "/CN=ajobs cluster", "-config", str(shape), "-extensions", "authority")  # fmt: skip
        for node in NODES:
            key, request, certificate = (str(folder / f"{node}.{kind}") for kind in ("key", "csr", "pem"))
            shape.write_text(SHAPE + f"[node]\nsubjectAltName=DNS:{node}\n{USES}", encoding="ascii")
            openssl(*NEW_KEY, "-out", key)
            openssl("req", "-new", "-sha256", "-key", key, "-out", request, "-subj", f"/CN={node}",
                    "-config", str(shape))  # fmt: skip
            openssl("x509", "-req", "-sha256", "-in", request, "-CA", ca, "-CAkey", ca_key, "-set_serial",
                    str(secrets.randbits(64)), "-out", certificate, "-days", CERTIFICATE_DAYS,
                    "-extfile", str(shape), "-extensions", "node")  # fmt: skip
            Path(request).unlink()
    except subprocess.CalledProcessError as e:
        return f"openssl failed: {e.stderr.decode(errors='replace').strip()}"
    finally:
        shape.unlink(missing_ok=True)
    # The authority signs nothing else, so its key is not kept.
    Path(ca_key).unlink()
    for name in ("ca.pem", *names):
        (folder / name).chmod(0o444)
    made.append("tls")
    return ""


NEW_KEY = ("ecparam", "-genkey", "-name", "prime256v1", "-noout")
USES = "extendedKeyUsage=serverAuth,clientAuth\nkeyUsage=digitalSignature\nbasicConstraints=CA:FALSE\n"
SHAPE = """[req]
distinguished_name=name
prompt=no
[name]
CN=ajobs
[authority]
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
"""


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


if __name__ == "__main__":
    sys.exit(main())
