"""Sign a profile file; `python -m agent.privacy.policy.signing KEY PROFILE` writes `PROFILE.sig`.

`--new PRIVATE_KEY` first creates a key pair; copy `PRIVATE_KEY.pub` to the devices and keep the
private key elsewhere (`privacy.profile_key`). Ed25519, RFC 8032.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from agent.base.errors import AgentError, ConfigError, StoreError
from agent.base.files import read_secret, write_atomically
from agent.privacy.policy.profile import parse_profile
from agent.privacy.policy.trusted_file import MAX_PROFILE_BYTES, read_regular_file


def sign_profile(key_file: Path, profile: Path) -> Path:
    """Sign a valid profile; returns the signature's path. Raises `ConfigError` for a bad key or
    profile, `StoreError`."""
    key = _private_key(key_file)
    data = read_regular_file(profile, MAX_PROFILE_BYTES)
    parse_profile(data, profile)
    out = profile.with_name(profile.name + ".sig")
    _write(out, key.sign(data).hex().encode() + b"\n", 0o644)
    return out


def make_key(path: Path) -> Path:
    """Write a new private key and its public key; returns the path of the latter. Raises
    `ConfigError` where one exists, `StoreError`."""
    public = path.with_name(path.name + ".pub")
    for each in (path, public):
        if os.path.lexists(each):
            raise ConfigError(f"{each} is already there and is left as it is. Choose another name.")
    key = Ed25519PrivateKey.generate()
    _write(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _write(public, pem, 0o644)
    return public


def _private_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(read_regular_file(path, MAX_PROFILE_BYTES), password=None)
    except TypeError:
        raise ConfigError(f"{path} is locked by a passphrase. Give it without one.") from None
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path} is no private Ed25519 key (PEM). Make one with --new.")
    read_secret(path, "The private key", 0)
    return key


def _write(path: Path, content: bytes, mode: int) -> None:
    try:
        write_atomically(path, content, mode)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error.strerror}. Choose a folder that you may write."
        ) from None


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code; errors go to stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m agent.privacy.policy.signing", description=__doc__
    )
    parser.add_argument("key", type=Path, metavar="PRIVATE_KEY")
    parser.add_argument("profile", type=Path, metavar="PROFILE", nargs="?")
    parser.add_argument("--new", action="store_true", help="make PRIVATE_KEY and PRIVATE_KEY.pub")
    args = parser.parse_args(argv)
    if not args.new and args.profile is None:
        parser.error("name the profile to sign, or say --new")
    try:
        if args.new:
            print(f"{args.key} is yours to keep; name {make_key(args.key)} in privacy.profile_key.")
        if args.profile is not None:
            print(f"{sign_profile(args.key, args.profile)} is written; copy it with the profile.")
    except AgentError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
