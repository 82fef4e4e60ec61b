"""What is heard and read, and whom it is given to."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from agent.base.types import Fused, Perceived, Sound, Tone, Words
from agent.inference.manifest import Manifest, load_manifest, models_folder
from agent.perceive.hearing import Hearing, Reading
from agent.privacy.policy.rules import resolve
from agent.privacy.releaser import Releaser
from tests.privacy.people import MODEL, answer, face
from tests.privacy.voices import listening
from tests.voice.test_listener import scene


class Ear:
    """A source whose sound is known."""

    def __init__(self, samples: np.ndarray) -> None:
        self.lost = 0.0
        self.samples, self.at, self.forgot = samples, 0, 0

    def until(self, time: float) -> Iterator[Sound]:
        while self.at + 1600 <= min(round(time * 16000), len(self.samples)):
            yield Sound(self.at / 16000, self.samples[self.at : self.at + 1600])
            self.at += 1600

    def forget(self) -> None:
        self.forgot += 1

    def close(self) -> None: ...


class Kiosk:
    """Lines as they come."""

    def __init__(self, lines: dict[float, str]) -> None:
        self.lines, self.now = lines, 0.0

    def poll(self) -> list[str]:
        due = [time for time in self.lines if time <= self.now]
        return [self.lines.pop(time) for time in due]


class Server:
    """A speech-to-text server that answers every stretch at once."""

    def __init__(self) -> None:
        self.stretches: list[int] = []
        self.open, self.texts = False, list[str]()

    def start(self) -> None:
        self.open = True
        self.stretches.append(0)

    def send(self, samples: np.ndarray) -> None:
        assert self.open
        self.stretches[-1] += len(samples)

    def stop(self) -> None:
        self.open = False
        self.texts.append("This is wonderful, thank you very much!")

    def poll(self) -> list[str]:
        texts, self.texts = self.texts, []
        return texts


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return load_manifest(models_folder(None))


def play(
    hearing: Hearing, seconds: float, present: dict[int, tuple[float, float]], kiosk: Kiosk | None
) -> Releaser:
    releaser = Releaser(listening(), resolve(listening()), model=MODEL)
    for index in range(round(seconds * 10)):
        time = index / 10
        if kiosk is not None:
            kiosk.now = time
        hearing.listen(time, releaser)
        faces = tuple(
            face(track, expression=answer("happiness"))
            for track, (start, end) in present.items()
            if start <= time < end
        )
        perceived = Perceived(time, faces)
        releaser.observe(perceived)
        hearing.attribute(perceived, releaser, 0)
    hearing.finish(seconds, releaser)
    return releaser


def heard(
    manifest: Manifest, present: dict[int, tuple[float, float]], lines: dict[float, str]
) -> list[Reading]:
    sound = scene((1.0, False), (2.5, True), (2.0, False), (2.5, True), (1.0, False))
    found: list[Reading] = []
    kiosk = Kiosk(lines)
    hearing = Hearing(manifest, sound=Ear(sound), lines=[kiosk], observer=found.append)
    play(hearing, 9.0, present, kiosk)
    return found


def test_speech_and_words_are_the_one_faces_in_view_else_the_rooms(manifest: Manifest) -> None:
    lines = {2.0: "What a wonderful day, I love it!", 7.0: "This is awful and I hate it."}
    found = heard(manifest, {5: (0.0, 9.0), 6: (5.0, 9.0)}, lines)
    tones = [each for each in found if isinstance(each, Tone)]
    assert [each.track_id for each in tones] == [5, None]
    words = [each for each in found if isinstance(each, Words)]
    assert [(each.label, each.track_id) for each in words] == [("positive", 5), ("negative", None)]
    fused = [each for each in found if isinstance(each, Fused) and each.track_id == 5]
    assert {"face", "words"} <= set().union(*(each.channels for each in fused))
    assert all(each.channels == {"face"} for each in found
               if isinstance(each, Fused) and each.track_id == 6)  # fmt: skip


def test_who_nobody_sees_is_the_room(manifest: Manifest) -> None:
    found = heard(manifest, {}, {2.0: "Where is the exit?"})
    assert {each.track_id for each in found} == {None}
    assert not [each for each in found if isinstance(each, Fused)]


def test_speech_is_sent_to_a_transcriber_with_what_is_around_it(manifest: Manifest) -> None:
    server, found = Server(), list[Reading]()
    sound = scene((1.0, False), (2.0, True), (2.5, False))
    hearing = Hearing(manifest, sound=Ear(sound), transcriber=server, observer=found.append)
    play(hearing, 5.5, {5: (0.0, 9.0)}, None)
    (samples,) = server.stretches
    assert 2.0 * 16000 < samples < 4.2 * 16000
    assert [each.label for each in found if isinstance(each, Words)] == ["positive"]


def test_a_pause_ends_what_is_transcribed(manifest: Manifest) -> None:
    server = Server()
    hearing = Hearing(manifest, sound=Ear(scene((0.5, False), (4.0, True))), transcriber=server)
    hearing.listen(2.0, Releaser(listening(), resolve(listening()), model=MODEL))
    assert server.open
    hearing.forget()
    assert not server.open


def test_what_came_while_paused_is_never_read(manifest: Manifest) -> None:
    sound = scene((0.5, False), (4.0, True))
    ear, kiosk, found = Ear(sound), Kiosk({0.5: "I hate it."}), list[Reading]()
    hearing = Hearing(manifest, sound=ear, lines=[kiosk], observer=found.append)
    releaser = Releaser(listening(), resolve(listening()), model=MODEL)
    hearing.listen(2.0, releaser)
    kiosk.now = 1.0
    hearing.forget()
    assert ear.forgot == 1
    hearing.attribute(Perceived(2.1, ()), releaser, 0)
    hearing.finish(2.2, releaser)
    assert found == []


def test_without_a_microphone_nobody_says_whether_somebody_speaks(manifest: Manifest) -> None:
    hearing = Hearing(manifest)
    assert hearing.listen(1.0, Releaser(listening(), resolve(listening()), model=MODEL)) is None
    assert hearing.listener is None
