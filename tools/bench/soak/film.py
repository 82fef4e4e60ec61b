"""Days in minutes: the bundled clip's scenes with the gaps of a day between them."""

from __future__ import annotations

from pathlib import Path

import av

from agent.base.assets import CLIP


def days(path: Path, windows: int, length: int, frames: int) -> int:
    """Write a film in which a scene of at most `frames` pictures begins in each of `windows`
    windows of `length` seconds; the clip's own packets, at other times. Returns its pictures."""
    scenes = _scenes(frames)
    written = 0
    with av.open(str(CLIP)) as clip, av.open(str(path), "w", format="matroska") as film:
        stream = film.add_stream_from_template(clip.streams.video[0])
        base = clip.streams.video[0].time_base
        assert base is not None
        for number in range(windows):
            scene = scenes[number % len(scenes)]
            first = scene[0][0]
            begin = round(number * length / base)
            for stamp, decoded, data, key in scene:
                packet = av.Packet(data)
                packet.stream, packet.time_base, packet.is_keyframe = stream, base, key
                packet.pts, packet.dts = begin + stamp - first, begin + decoded - first
                film.mux(packet)
                written += 1
    return written


def _scenes(frames: int) -> list[list[tuple[int, int, bytes, bool]]]:
    """The clip cut before its key pictures: pts, dts, content, whether it is one."""
    found: list[list[tuple[int, int, bytes, bool]]] = []
    with av.open(str(CLIP)) as clip:
        for packet in clip.demux(clip.streams.video[0]):
            if packet.pts is None or packet.dts is None:
                continue
            if packet.is_keyframe:
                found.append([])
            if found and len(found[-1]) < frames:
                key = packet.is_keyframe
                found[-1].append((packet.pts, packet.dts, bytes(packet), key))
    longest = max(map(len, found))
    return [each for each in found if len(each) == longest]
