"""Archives, good and hostile."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

REQUIREMENTS = b"numpy==2\n"
BASE = hashlib.sha256(REQUIREMENTS).hexdigest()


def package(version: str, body: bytes = b"") -> dict[str, bytes]:
    return {
        "agent/__init__.py": f'"""A package."""\n__version__ = "{version}"\n'.encode(),
        "agent/cli.py": b"X = 1\n" + body,
        "agent/deep/er/module.py": b"Y = 2\n",
        "models/manifest.toml": b"format = 1\n",
        "models/one/model.tflite": version.encode() * 100,
        "requirements.txt": REQUIREMENTS,
    }


def models(version: str) -> dict[str, bytes]:
    return {
        "models/manifest.toml": b"format = 1\n",
        "models/one/model.tflite": b"new " + version.encode() * 100,
        "models/VERSION": f"{version}\n".encode(),
    }


def member(name: str, data: bytes = b"", **changes: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in changes.items():
        setattr(info, key, value)
    return info, data


def pack(
    path: Path, files: dict[str, bytes], *more: tuple[tarfile.TarInfo, bytes], **options: Any
) -> Path:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **options) as tar:
        for info, data in [*(member(name, data) for name, data in files.items()), *more]:
            tar.addfile(info, io.BytesIO(data))
    path.write_bytes(gzip.compress(buffer.getvalue()))
    return path


def install(files: dict[str, bytes], root: Path) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root
