"""The options of workers about signatures: several keys, and no way to verify nothing by mistake."""

from __future__ import annotations

import pytest

from ajobs.client.options import ClientOptions, keys_of, signature_mode
from ajobs.protocol.errors import ConfigurationError
from ajobs.protocol.signing import Signer
from ajobs.runtime.options import ConnectionOptions
from ajobs.worker.process.arguments import VerifyingOptions, client_settings

OLD, NEW, SEED = Signer(bytes(32)), Signer(b"n" * 32), b"s" * 32


def verifier_of(signing):
    settings = client_settings(ConnectionOptions(), signing, None)
    chosen = {key: value for key, value in settings.items() if "sign" in key or "verif" in key}
    return keys_of(ClientOptions(**chosen)).verifier


@pytest.mark.parametrize("form", ["repeated", "commas", "files"])
def test_a_worker_verifies_with_several_keys(form, tmp_path):
    keys = [OLD.public_key_hex, NEW.public_key_hex]
    if form == "files":
        for number, key in enumerate(keys):
            (tmp_path / str(number)).write_text(key)
        keys = [str(tmp_path / "0"), str(tmp_path / "1")]
    verifier = verifier_of(VerifyingOptions(verification_key=(",".join(keys),) if form == "commas" else tuple(keys)))
    assert verifier is not None
    assert all(verifier.matches(b"m", signer.sign(b"m")) for signer in (OLD, NEW))
    assert not verifier.matches(b"m", Signer(SEED).sign(b"m"))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"verification_key": ("",)}, "--verification-key is empty"),
        ({"verification_key": (OLD.public_key_hex, " ")}, "--verification-key is empty"),
        ({"verification_key": (f"{OLD.public_key_hex},",)}, "--verification-key is empty"),
        ({"require_signatures": True}, "--require-signatures needs a key"),
        (
            {"require_signatures": True, "signatures_optional": True, "verification_key": (OLD.public_key_hex,)},
            "both required and optional",
        ),
    ],
    ids=["empty", "one empty", "comma at the end", "no key", "required and optional"],
)
def test_options_that_would_verify_less_than_they_promise_are_refused(options, problem):
    with pytest.raises(ConfigurationError, match=problem):
        client_settings(ConnectionOptions(), VerifyingOptions(**options), None)


def test_keys_in_files_and_in_hex_are_not_mixed(tmp_path):
    (tmp_path / "key").write_text(OLD.public_key_hex)
    with pytest.raises(ConfigurationError, match="use one form for all of them"):
        verifier_of(VerifyingOptions(verification_key=(str(tmp_path / "key"), NEW.public_key_hex)))


def test_the_mode_of_signatures_is_described_in_words():
    both = [OLD.public_key_hex, NEW.public_key_hex]
    modes = [
        signature_mode(keys_of(options))
        for options in (
            ClientOptions(),
            ClientOptions(signing_key=SEED),
            ClientOptions(verification_key=both),
            ClientOptions(verification_key=both, signatures_optional=True),
        )
    ]
    assert modes == [
        "off, every task runs",
        "required, verified with 1 key",
        "required, verified with 2 keys",
        "optional, verified with 2 keys",
    ]


def test_an_empty_list_of_keys_is_refused():
    with pytest.raises(ConfigurationError, match="list of verification keys is empty"):
        keys_of(ClientOptions(verification_key=[]))
