"""Reading a file that only root, or only the holder of a key, can have written.

Without a key, as OpenSSH (auth_secure_path in sshd's misc.c): the file and every folder above it
must be owned by root and writable by root only. With a key the content must be signed (Ed25519, RFC
8032). The returned bytes are those that were checked (no time-of-check race).
"""

from __future__ import annotations

import base64
import binascii
import os
import shlex
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.base.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MAX_PROFILE_BYTES = 32_768
"""A longer profile is refused unread."""
_MAX_KEY_BYTES = 4096
_ROOT = 0
_TRUSTED_OWNERS = frozenset({_ROOT})
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_UID_MAP = Path("/proc/self/uid_map")
_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""No links; no blocking on a pipe."""


def read_owned_by_root(path: Path) -> bytes:
    """The content of a file that only root can change. Raises `ConfigError`."""
    path = Path(os.path.abspath(path))
    if not _root_is_mapped():
        raise ConfigError(
            f"The profile {path} cannot be trusted here: this process is in a user namespace, "
            "where root's files cannot be told from others'. Start the agent by systemd or as "
            "root, or sign the profile and set privacy.profile_key."
        )
    folder = os.open("/", _OPEN_FLAGS | os.O_DIRECTORY)
    try:
        _check_folder(Path("/"), os.fstat(folder), path)
        for depth, name in enumerate(path.parts[1:-1], 2):
            here = Path(*path.parts[:depth])
            below = _open(name, here, path, os.O_DIRECTORY, folder)
            os.close(folder)
            folder = below
            _check_folder(here, os.fstat(folder), path)
        file = _open(path.name, path, path, 0, folder)
    finally:
        os.close(folder)
    try:
        found = os.fstat(file)
        if stat.S_ISREG(found.st_mode) and not _only_root_writes(found):
            raise ConfigError(
                f"The profile {path} is not trusted: {_why_untrusted(found)}. If what it says is "
                f"right, run `sudo chown root:root {_quoted(path)} && sudo chmod 644 "
                f"{_quoted(path)}`, or sign it and set privacy.profile_key."
            )
        return _content(file, found, path, MAX_PROFILE_BYTES)
    finally:
        os.close(file)


def read_signed(path: Path, key_file: Path) -> bytes:
    """The content of a file with a valid signature `<path>.sig` (hexadecimal or base64) by the key
    in `key_file`. Raises `ConfigError`."""
    key = read_public_key(key_file)
    data = read_regular_file(path, MAX_PROFILE_BYTES)
    signature_file = path.with_name(path.name + ".sig")
    sign = f"{sys.executable} -m agent.privacy.policy.signing"
    remedy = f"Sign it with `{sign} PRIVATE_KEY {_quoted(path)}`."
    if not signature_file.exists():
        raise ConfigError(
            f"The profile {path} is not trusted: its signature {signature_file} is missing. "
            + remedy
        )
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(_decoded(read_regular_file(signature_file, _MAX_KEY_BYTES)), data)
    except (InvalidSignature, ValueError):
        raise ConfigError(
            f"The profile {path} is not trusted: {signature_file} is no signature of these bytes "
            f"by the key {key_file}. If what the profile says is right: {remedy}"
        ) from None
    return data


def read_public_key(path: Path) -> Ed25519PublicKey:
    """An Ed25519 public key: PEM, or 64 hexadecimal digits. Raises `ConfigError`."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    data = read_regular_file(path, _MAX_KEY_BYTES, only_owner_writes=True)
    try:
        if b"-----BEGIN" in data:
            key = load_pem_public_key(data)
            if isinstance(key, Ed25519PublicKey):
                return key
        else:
            return Ed25519PublicKey.from_public_bytes(bytes.fromhex(data.decode("ascii").strip()))
    except (ValueError, UnsupportedAlgorithm):
        pass
    raise ConfigError(
        f"{path} holds no Ed25519 public key (PEM, or 64 hexadecimal digits). Make a pair with "
        f"`{sys.executable} -m agent.privacy.policy.signing --new PRIVATE_KEY` and name "
        "PRIVATE_KEY.pub in privacy.profile_key."
    )


def read_regular_file(path: Path, max_bytes: int, *, only_owner_writes: bool = False) -> bytes:
    """The content of a regular file of at most `max_bytes`. Raises `ConfigError`."""
    try:
        # Links are permitted: the signature covers the content, not the path.
        file = os.open(path, _OPEN_FLAGS & ~os.O_NOFOLLOW)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {_reason(error)}. Check the path.") from None
    try:
        found = os.fstat(file)
        if only_owner_writes and found.st_mode & _OTHERS_WRITE:
            raise ConfigError(
                f"The key {path} is not trusted: others than its owner may write it. See that it "
                f"is the right one, then run `chmod go-w {_quoted(path)}`."
            )
        return _content(file, found, path, max_bytes)
    finally:
        os.close(file)


def _open(name: str, here: Path, whole: Path, flags: int, folder: int) -> int:
    try:
        return os.open(name, _OPEN_FLAGS | flags, dir_fd=folder)
    except (OSError, ValueError) as error:
        if os.path.islink(here):
            raise ConfigError(
                f"The profile {whole} is not trusted: {here} is a link, which could be pointed "
                f'elsewhere. Set privacy.profile = "{os.path.realpath(whole)}".'
            ) from None
        raise ConfigError(
            f"The profile {whole} cannot be read: {here}: {_reason(error)}. Check privacy.profile."
        ) from None


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _check_folder(folder: Path, found: os.stat_result, path: Path) -> None:
    if _only_root_writes(found):
        return
    home = Path("/etc/fleeting/profile.toml")
    raise ConfigError(
        f"The profile {path} is not trusted: {_why_untrusted(found)}, in the folder {folder}: "
        "whoever may write there can put another file in its place. Run `sudo install -D -o root "
        f'-g root -m 644 {_quoted(path)} {home}` and set privacy.profile = "{home}", or sign it '
        "and set privacy.profile_key."
    )


def _only_root_writes(found: os.stat_result) -> bool:
    return found.st_uid in _TRUSTED_OWNERS and not found.st_mode & _OTHERS_WRITE


def _why_untrusted(found: os.stat_result) -> str:
    """Why users other than root may write it."""
    if found.st_uid in _TRUSTED_OWNERS:
        return f"others than root may write it (mode {stat.S_IMODE(found.st_mode):o})"
    return f"user {found.st_uid} owns it, not root"


def _root_is_mapped() -> bool:
    """Whether root is mapped in this user namespace; else files of root appear to be owned by
    nobody (user_namespaces(7))."""
    try:
        lines = [line.split() for line in _UID_MAP.read_text().splitlines()]
    except OSError:
        return True
    return any(int(first) == _ROOT for first, _, _ in lines)


def _content(file: int, found: os.stat_result, path: Path, max_bytes: int) -> bytes:
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError(f"{path} is no ordinary file. Name a text file.")
    try:
        with os.fdopen(os.dup(file), "rb") as reader:
            data = reader.read(max_bytes + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {_reason(error)}. Check the disk.") from None
    if len(data) > max_bytes:
        raise ConfigError(f"{path} is larger than {max_bytes} bytes. Is it the right file?")
    return data


def _decoded(text: bytes) -> bytes:
    """64 bytes from 128 hexadecimal digits or from base64. Raises `ValueError`."""
    plain = text.decode("ascii").strip()
    try:
        signature = bytes.fromhex(plain)
    except ValueError:
        try:
            signature = base64.b64decode("".join(plain.split()), validate=True)
        except binascii.Error as error:
            raise ValueError(str(error)) from None
    if len(signature) != 64:
        raise ValueError("an Ed25519 signature has 64 bytes")
    return signature


def _quoted(path: Path) -> str:
    return shlex.quote(os.path.abspath(path))
