"""The secrets that `make secrets` creates, and warnings about secrets that other users can read."""

from __future__ import annotations

import logging
import os
import re
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Generator
from hashlib import sha256
from pathlib import Path

import nkeys
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey

from ajobs.admin.api.tokens import Scope, parse_tokens
from ajobs.client.nats import credentials
from ajobs.client.nats.credentials import warn_if_exposed
from ajobs.protocol.signing import Signer, parse_key
from scripts import make_secrets
from tests import ROOT


@pytest.fixture(scope="module")
def created(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parent") / "secrets"
    create(folder)
    return folder


def create(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scripts.make_secrets", "--folder", folder],
        cwd=ROOT,
        check=True,
        text=True,
        capture_output=True,
        env=os.environ | environment,
    )


@given(seed=st.binary(min_size=32, max_size=32))
@settings(max_examples=25, deadline=None)
def test_public_keys_and_nkeys_match_those_of_the_libraries(seed: bytes):
    assert make_secrets.public_key(seed) == bytes(SigningKey(seed).verify_key)
    text = make_secrets.nkey(seed, make_secrets.SEED, make_secrets.USER)
    assert make_secrets.seed_of(text) == seed
    theirs = nkeys.from_seed(bytearray(text.encode()))
    assert theirs.public_key.decode() == make_secrets.nkey(make_secrets.public_key(seed), make_secrets.USER)


def test_each_role_has_its_own_seed_and_the_server_has_its_public_key(created: Path):
    users = dict(re.findall(r'^(\w+): "(U\w+)"$', (created / "nats_users.conf").read_text(), re.MULTILINE))
    assert set(users) == {"PRODUCER", "WORKER", "SCHEDULER", "OBSERVER", "REMOTE", "ADMIN"}
    assert len(set(users.values())) == 6
    for role, public in users.items():
        seed = bytearray((created / f"nats_{role.lower()}.nk").read_bytes().strip())
        assert nkeys.from_seed(seed).public_key.decode() == public


def test_the_verification_key_belongs_to_the_signing_seed(created: Path):
    signer = Signer(parse_key("seed", (created / "signing_seed").read_text()))
    assert (created / "verification_key").read_text().strip() == signer.public_key_hex


def test_the_http_api_accepts_its_token(created: Path):
    (token,) = parse_tokens((created / "admin_tokens").read_text(), "admin_tokens")
    assert token.allows(Scope.ADMIN)
    assert token.digest == sha256((created / "admin_token").read_text().strip().encode()).hexdigest()


def test_one_authority_issues_the_certificates_of_the_nodes_and_its_key_is_deleted(created: Path):
    context = ssl.create_default_context(cafile=str(created / "tls/ca.pem"))
    for node in make_secrets.NODES:
        context.load_cert_chain(created / f"tls/{node}.pem", created / f"tls/{node}.key")
        command = ["openssl", "verify", "-x509_strict", "-CAfile", created / "tls/ca.pem", "-verify_hostname", node]
        verified = subprocess.run([*command, created / f"tls/{node}.pem"], check=False, capture_output=True, text=True)
        assert verified.returncode == 0, verified.stderr
    assert {path.suffix for path in (created / "tls").iterdir()} == {".pem", ".key"}
    assert not (created / "tls/ca.key").exists()


def test_only_the_owner_can_enter_the_folder_and_containers_can_read_its_files(created: Path):
    assert created.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in created.rglob("*") if path.is_file()} == {0o444}


def test_existing_secrets_are_kept_and_files_derived_from_new_ones_are_updated(tmp_path: Path):
    first = create(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert create(tmp_path).stdout.endswith("nothing to create\n")
    assert {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    (tmp_path / "nats_worker.nk").unlink()
    assert create(tmp_path).stdout.endswith("created nats_worker.nk, nats_users.conf\n")
    changed = {path.name for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes() != before[path.name]}
    assert changed == {"nats_worker.nk", "nats_users.conf"}
    assert first.stderr == ""


def test_without_openssl_everything_but_the_certificates_is_created(tmp_path: Path):
    done = create(tmp_path, PATH=str(tmp_path))
    assert "no certificates for compose.cluster.yaml: openssl is not installed" in done.stderr
    assert (tmp_path / "verification_key").exists()
    assert not (tmp_path / "tls").exists()


@pytest.mark.parametrize("umask", [0o077, 0o000], ids=oct)
def test_the_modes_of_secrets_do_not_depend_on_the_umask(tmp_path: Path, umask: int):
    before = os.umask(umask)
    try:
        create(tmp_path / "secrets")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "secrets").rglob("*")}
    assert modes.pop("tls") == 0o755
    assert set(modes.values()) == {0o444}
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700


@pytest.fixture
def secret() -> Generator[Path]:
    """Yield a file that other users can read, in a folder that they can enter."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        file = folder / "seed"
        file.write_text("SU...")
        file.chmod(0o644)
        yield file


def test_a_secret_that_other_users_can_read_causes_a_warning(secret: Path, caplog: pytest.LogCaptureFixture):
    warn_if_exposed(secret, "seed file")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == f"others may read the seed file {secret}: chmod 600 it"


@pytest.mark.parametrize("closed", ["file", "folder", "mount"])
def test_a_secret_that_other_users_cannot_read_causes_no_warning(
    secret: Path, closed: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    match closed:
        case "file":
            secret.chmod(0o600)
        case "folder":
            secret.parent.chmod(0o700)
        case _:
            monkeypatch.setattr(credentials, "MOUNTED", secret.parent)
    warn_if_exposed(secret, "seed file")
    assert caplog.records == []
