"""Interlaced frames as a viewer shows them: each field becomes a whole picture, at its own time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agent.perceive.capture.luma import FULL


class Deinterlacer:
    """FFmpeg's bwdif on luma; frames that are not marked as interlaced pass unchanged.

    Begins with the first marked frame and looks one frame ahead from then on. Two pictures come
    from each interlaced frame, the second half a frame's duration after the first. FFmpeg's HEVC
    decoder gives field after field instead: they are woven first, top before bottom.
    """

    def __init__(self, codec: str) -> None:
        """`codec`: FFmpeg's name of the decoder."""
        self._single = codec == "hevc"
        self.active = False
        """Whether an interlaced frame was met."""
        self._graph: Any = None
        self._shape: tuple[Any, ...] = ()
        self._limited = False
        self.doubles = 1
        """Pictures per frame of the decoder."""

    def __call__(self, frame: Any) -> Iterator[tuple[Any, bool]]:
        """The pictures, `av.VideoFrame`, that are complete with this frame, and of each whether it
        is bare luma of limited range, which its format no longer says."""
        if frame.interlaced_frame and not self.active:
            self.active, self.doubles = True, 1 if self._single else 2
        if not self.active:
            yield frame, False
            return
        shape = (frame.width, frame.height, frame.format.name, frame.time_base)
        if self._graph is None or shape != self._shape:
            yield from self.finish()
            self._begin(frame)
            self._shape = shape
        self._graph.vpush(frame)
        yield from self._ready()

    def finish(self) -> Iterator[tuple[Any, bool]]:
        """The pictures that are left, at the end of a stream."""
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._ready()
        self._graph = None

    def _begin(self, frame: Any) -> None:
        from av.filter import Graph

        graph = Graph()
        graph.threads = 1
        begin = graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=frame.time_base,
        )
        chain = [begin]
        name = frame.format.name
        self._limited = False
        if frame.format.is_rgb:
            chain.append(graph.add("format", "gray"))
        elif len(frame.format.components) > 1:
            chain.append(graph.add("extractplanes", "y"))
            self._limited = not (frame.color_range == FULL or name.startswith("yuvj"))
        if self._single:
            chain += [graph.add("weave", "top"), graph.add("bwdif", "send_field:tff:all")]
        else:
            chain.append(graph.add("bwdif", "send_field:auto:interlaced"))
        chain.append(graph.add("buffersink"))
        graph.link_nodes(*chain).configure()
        self._graph = graph

    def _ready(self) -> Iterator[tuple[Any, bool]]:
        from av.error import BlockingIOError as NothingYet
        from av.error import EOFError as Ended

        while True:
            try:
                yield self._graph.vpull(), self._limited
            except (NothingYet, Ended):
                return
