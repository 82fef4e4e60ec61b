"""`python -m tools.arm64.guest`: what is run inside the root, with the environment that was made
there. Each prints one line of JSON."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import threading
from pathlib import Path
from typing import Any

IMPORTS = ("numpy", "cv2", "av", "numba", "ai_edge_litert", "pydantic", "paho.mqtt", "tuf",
           "cryptography", "matplotlib", "wyoming", "sounddevice", "pyaudio", "libcamera",
           "picamera2")  # fmt: skip
"""What the product imports somewhere; the last four only where they are."""
DECODERS = ("h264", "hevc", "mjpeg", "mpeg2video", "mpeg4", "vp8", "vp9", "av1", "aac", "opus")
EVERY = 1.0
"""Seconds between two looks at the memory map."""


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.arm64.guest", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("models", help="how far every model is from its golden vectors")
    verbs.add_parser("imports", help="which libraries can be imported, in which versions")
    watched = verbs.add_parser("watched", help="a verb of fleeting, its memory map written down")
    watched.add_argument("file", type=Path, help="where the newest map is")
    watched.add_argument("words", nargs=argparse.REMAINDER, help="of `fleeting`")
    verbs.add_parser("compile", help="all kernels, into the cache that perceive uses")
    waiting = verbs.add_parser("outbox", help="how many messages wait in an outbox")
    waiting.add_argument("--file", type=Path, help="default: the product's own")
    args = parser.parse_args(argv)
    if args.verb == "outbox":
        print(json.dumps(outbox(args.file)))
        return 0
    if args.verb == "compile":
        print(json.dumps(compile_kernels()))
        return 0
    if args.verb == "watched":
        return _watched(args.file, args.words)
    print(json.dumps(models() if args.verb == "models" else imports()))
    return 0


def models() -> list[dict[str, Any]]:
    """Every output of every model of both sets."""
    from agent.inference.manifest import SETS, models_folder
    from agent.update.self_test import compare_models

    return [
        {"set": which, "model": name, "output": each.output, "mean": each.mean,
         "worst": each.worst, "passed": each.passed}
        for which in SETS
        for name, found in compare_models(models_folder(None), which)
        for each in found
    ]  # fmt: skip


def imports() -> dict[str, Any]:
    """Version or error of each library, and what PyAV can decode."""
    found = {}
    for name in IMPORTS:
        try:
            module = importlib.import_module(name)
        except Exception as error:
            found[name] = f"-{type(error).__name__}: {error}"
        else:
            found[name] = str(getattr(module, "__version__", "imported"))
    if not found["libcamera"].startswith("-"):
        camera: Any = importlib.import_module("libcamera")
        cameras = camera.CameraManager.singleton().cameras
        found["libcamera"] += f", {len(cameras)} cameras"
    import av

    missing = [name for name in DECODERS if name not in av.codecs_available]
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "libraries": found,
        "not_decoded": missing,
    }


def compile_kernels() -> dict[str, Any]:
    """As the first start of the perceive process does."""
    from agent.base.config import AgentConfig
    from agent.perceive.start import kernel_cache

    folder = kernel_cache()
    import agent.kernels.compiler  # noqa: F401
    from agent.perceive.warm_up import warm

    warm(AgentConfig(), hears=True)
    return {"folder": str(folder), "compiled": len(list(folder.rglob("*.nbc")))}


def outbox(file: Path | None) -> dict[str, int]:
    """Messages that wait, and the number of the next summary."""
    from agent.base.config import StoreConfig
    from agent.wall.outbox import Outbox

    with Outbox(StoreConfig() if file is None else StoreConfig(outbox=file)) as box:
        return {"depth": box.depth(), "next": box.next_seq}


def _watched(file: Path, words: list[str]) -> int:
    """Run `fleeting WORDS` in this process, whose memory map a thread writes down: the emulator
    leaves its own memory out of what a program reads there."""
    # Before the process closes itself in; where it is refused later, the newest map stays.
    stop = threading.Event()

    def write() -> None:
        new = file.with_suffix(".new")
        while not stop.wait(EVERY):
            try:
                text = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
                new.write_text(f"{os.getpid()}\n{text}", encoding="utf-8")
                new.replace(file)
            except OSError:
                return

    threading.Thread(target=write, daemon=True).start()
    from agent.cli import main as fleeting

    try:
        return fleeting(words)
    finally:
        stop.set()


if __name__ == "__main__":
    sys.exit(main())
