"""Releases: small ones that only stand for a package, and real ones made of this clone."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tools.common.files import ROOT

REQUIREMENTS = "# the libraries of a device that only stands for one\n"
_SELF_TEST = 'import json\nprint(json.dumps({"reason": None, "text": "passed"}))\n'
_SANDBOX = (
    "import json\n"
    'half = lambda name: {"half": name, "cage": {"found_open": []}}\n'
    'print(json.dumps([half("perceive"), half("uplink")]))\n'
)
Files = dict[str, bytes]


def small(version: str, number: int, kind: str = "app") -> Files:
    """Files of a package that runs nothing but its own self-test."""
    models = {
        "models/manifest.toml": b"format = 1\n",
        "models/one/model.bin": hashlib.sha256(f"{kind} {version} {number}".encode()).digest() * 64,
    }
    if kind == "models":
        return {**models, "models/VERSION": f"{version}\n".encode()}
    package = {
        "agent/__init__.py": f'__version__ = "{version}"\n',
        "agent/cli.py": f"NUMBER = {number}\n",
        "agent/update/__init__.py": "",
        "agent/update/self_test.py": _SELF_TEST,
        "agent/host/__init__.py": "",
        "agent/host/sandbox/__init__.py": "",
        "agent/host/sandbox/__main__.py": _SANDBOX,
        "requirements.txt": REQUIREMENTS,
    }
    return {**{name: text.encode() for name, text in package.items()}, **models}


def real(version: str, changes: Mapping[str, Callable[[bytes], bytes]]) -> Files:
    """This clone as a release. `changes`: of files by name."""
    names = [
        path.relative_to(ROOT).as_posix()
        for top in ("agent", "models")
        for path in sorted((ROOT / top).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    ]
    found = {name: (ROOT / name).read_bytes() for name in (*names, "requirements.txt")}
    found["agent/__init__.py"] = re.sub(
        rb'__version__ = "[^"]*"', f'__version__ = "{version}"'.encode(), found["agent/__init__.py"]
    )
    for name, change in changes.items():
        before = found[name]
        found[name] = change(before)
        if found[name] == before:
            raise ValueError(f"the fault was not planted in {name}")
    return found


def write(files: Files, folder: Path) -> None:
    """Into a folder, as an installation."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def pack(files: Files, archive: Path) -> None:
    """Into an archive, the same for the same files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    archive.write_bytes(gzip.compress(buffer.getvalue(), 6, mtime=0))


def base_of(files: Files) -> str:
    """SHA-256 of the libraries that it needs."""
    return hashlib.sha256(files["requirements.txt"]).hexdigest()


def tree_of(files: Files) -> str:
    """As `agent.update.slots.tree` of what is unpacked."""
    whole = hashlib.sha256()
    for name in sorted(files, key=lambda each: Path(each)):
        whole.update(f"{hashlib.sha256(files[name]).hexdigest()} {name}\n".encode())
    return whole.hexdigest()


def version_of(files: Files) -> str:
    """Of the package."""
    found = re.search(rb'__version__ = "([^"]*)"', files["agent/__init__.py"])
    assert found is not None
    return found[1].decode()
