"""The page of one film, chapter by chapter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import agent
from agent.base.types import ACTION_UNITS, EXPRESSIONS, SENTIMENTS, UNSURE
from agent.desk.films import caveats, draw_faces, draw_signs
from agent.desk.films.document import (
    Caveat,
    Document,
    Facts,
    Figure,
    Heading,
    Paragraph,
    Still,
    Stills,
    Table,
)
from agent.desk.films.drawing import clock
from agent.desk.films.findings import Findings
from agent.desk.films.phrases import (
    MOST_ROWS,
    bytes_of,
    capped,
    drawn,
    flag_name,
    micro_row,
    policy,
    refusals,
    signed,
)


@dataclass(frozen=True, slots=True)
class About:
    """The file, and the circumstances of its analysis."""

    name: str
    """For people: every name can be shown."""
    bytes: int
    date: str
    """Of the analysis, UTC."""


def document(found: Findings, about: About, stills: Sequence[Still] = ()) -> Document:
    """The whole page. `stills`: pictures at the highlights, where somebody asked for them."""
    page = Document(about.name, "What faces and voices in this film looked and sounded like")
    page.foot = (
        f"Fleeting {agent.__version__} · models {found.manifest.hash16} · policy "
        f"{found.policy.name} {found.policy.hash} · {about.date}"
    )
    cells = found.cells
    _head(page, found, about)
    _highlights(page, found, stills)
    _faces(page, found)
    if "expression" in cells:
        _expressions(page, found)
    if {"valence", "arousal"} <= cells:
        _valence(page, found)
    if "attention" in cells:
        _visits(page, found)
    if "expression" in cells:
        _units(page, found)
    if "micro" in cells:
        _micro(page, found)
    if found.policy.listens:
        _voice(page, found)
    _quality(page, found)
    _how_to_read(page, found)
    return page


def _head(page: Document, found: Findings, about: About) -> None:
    cells = found.cells
    big = [
        (clock(found.seconds), "length"),
        (str(len(found.visits)), "visits"),
        (str(int(found.course.most.max(initial=0))), "faces at once"),
    ]
    if found.attentive is not None:
        big.append((f"{found.attentive:.0%}", "facing the camera"))
    if found.shares:
        named = {k: v for k, v in found.shares.items() if k not in ("neutral", "unsure")}
        name, share = max(named.items(), key=lambda item: item[1])
        if share:
            big.append((f"{share:.0%}", f"readings of {name}"))
    if "micro" in cells:
        chance = "?" if found.expected is None else f"{found.expected:.1f}"
        if found.analysable or found.micro:
            big.append((str(len(found.micro)), f"micro-expressions ({chance} by chance)"))
        else:
            big.append(("–", "micro-expressions: none could be seen"))
    page.add(Facts(tuple((label, value) for value, label in big), big=True))
    size = f"{found.shape[0]} × {found.shape[1]}" if found.shape else "unknown"
    items = [
        ("File", about.name),
        ("Size", f"{bytes_of(about.bytes)}, {size} pixels"),
        ("Frames", f"{found.frames:,} looked at, {found.fps:.4g} a second"),
        ("Policy", policy(found)),
        ("Models", f"{found.manifest.which} set, {found.manifest.hash16}"),
        ("Analysed", f"{about.date}, Fleeting {agent.__version__}"),
    ]
    page.add(Facts(tuple(items)))
    page.add(
        Paragraph(
            "This page is about recorded people: personal data, for whoever holds the film and "
            "their consent. Expression is not inner feeling; see the caveat beside every figure.",
            "note",
        )
    )
    if page_pictures := found.truncated and "The file ends before its stated length.":
        page.add(Paragraph(page_pictures, "bad"))


def _highlights(page: Document, found: Findings, stills: Sequence[Still]) -> None:
    page.add(Heading("Where to look", "highlights"))
    if not found.highlights:
        page.add(Paragraph("Nothing stands out."))
        return
    rows = tuple(
        (str(rank), f"{clock(h.time, True)}–{clock(h.end, True)}", h.kind, h.reason,
         f"{h.score:.2f}")
        for rank, h in enumerate(found.highlights, 1)
    )  # fmt: skip
    page.add(
        Table(("", "when", "kind", "why", "strength"), rows,
              "The strongest moments, ranked; numbers as in the timeline", frozenset({0, 4})),
        caveats.HIGHLIGHTS,
    )  # fmt: skip
    if stills:
        page.add(
            Paragraph(
                "The stills below show people. They are here because whoever made this page asked "
                "for them; pass it on only as you would the film.",
                "bad",
            ),
            Stills(tuple(stills)),
        )


def _faces(page: Document, found: Findings) -> None:
    page.add(Heading("Timeline", "timeline"))
    most = int(found.course.most.max(initial=0))
    alt = (
        f"Timeline of {clock(found.seconds)}: {len(found.visits)} visits, at most {most} faces at "
        "once; for each face what the readings name and whether it faces the camera."
    )
    caption = (
        "Faces in view; small numbers are visits, diamonds micro-expressions, discs the moments "
        f"to look at{drawn(found.micro)}"
    )
    page.add(Figure(draw_faces.timeline(found), alt, caption, caveats.TIMELINE))
    if found.passed and "passing" in found.cells:
        who = "people passed" if found.passed > 1 else "person passed"
        text = (
            f"{found.passed} {who} by, in view for less than a second or in two pictures: no visit."
        )
        page.add(Paragraph(text, "small"))


def _expressions(page: Document, found: Findings) -> None:
    page.add(Heading("Expressions", "expressions"))
    total = int(found.course.sums("estimates").sum())
    if not found.shares:
        page.add(Paragraph("No face was large and clear enough to be read."))
        return
    top = sorted(found.shares.items(), key=lambda item: -item[1])[:3]
    alt = "Shares of the readings: " + ", ".join(f"{name} {share:.0%}" for name, share in top)
    caption = f"Share of {total:,} readings, of all faces, by what they name"
    page.add(Figure(draw_faces.shares(found), alt, caption, caveats.shares(found.manifest)))
    classes = caveats.per_class(found.manifest)
    visits = [row["expression"] for row in found.visits]
    rows = tuple(
        (
            name,
            f"{found.shares[name]:.1%}",
            str(visits.count(name)),
            *(
                (f"{classes[name]['recall']:.0%}", f"{classes[name]['precision']:.0%}")
                if name in classes
                else ("–", "–")
            ),
        )
        for name in (*EXPRESSIONS, "unsure")
    )
    head = ("class", "of the readings", "visits mostly so", "found*", "right*")
    text = (
        "Readings and visits by class. *Of held-out pictures whose class most annotators agree "
        "on: how many of the class are found, how many of the answers are right"
    )
    page.add(Table(head, rows, text, frozenset({1, 2, 3, 4}), folded=True))


def _valence(page: Document, found: Findings) -> None:
    page.add(Heading("Valence and arousal", "valence"))
    valence, arousal = found.mean("valence"), found.mean("arousal")
    if valence is None or arousal is None:
        page.add(Paragraph("No reading."))
        return
    alt = f"Mean valence {valence:+.2f}, mean arousal {arousal:+.2f}, and their course over time."
    caption = (
        f"Left: the path from pale to strong, grey disc first, orange disc last. Right: over time. "
        f"Means: valence {valence:+.2f}, arousal {arousal:+.2f}"
    )
    page.add(Figure(draw_faces.valence_arousal(found), alt, caption, caveats.VALENCE))
    rows = tuple(
        (str(row["visit"]), str(row["readings"]), signed(row.get("valence")),
         signed(row.get("arousal")))
        for row in found.visits[:MOST_ROWS]
    )  # fmt: skip
    head = ("visit", "readings", "mean valence", "mean arousal")
    page.add(Table(head, rows, capped("By visit", found.visits), frozenset({0, 1, 2, 3}), True))


def _visits(page: Document, found: Findings) -> None:
    page.add(Heading("Attention and dwell", "attention"))
    if found.passed and "passing" in found.cells:
        looked = sum(1 for row in found.visits if row["attention_s"] >= 1)
        every = len(found.visits) + found.passed
        text = f"{looked} of {every}, among them {found.passed} who passed by"
        page.add(Facts((("Looked for 1 s and more", text),)))
    if not found.visits:
        page.add(Paragraph("There was no visit: nobody was in view for a second."))
        return
    alt = f"Seconds in view and facing the camera of {len(found.visits)} visits; table below."
    cone = f"within {found.attention_cone:.0f}° of the camera"
    more = "" if len(found.visits) <= draw_faces.MOST_BARS else ", the first ones"
    caption = f"Seconds of each visit, of these facing the camera ({cone}){more}"
    page.add(Figure(draw_faces.attention(found), alt, caption, caveats.ATTENTION))
    rows = tuple(
        (
            str(row["visit"]),
            f"{clock(row['start_s'])}–{clock(row['end_s'])}",
            f"{row['dwell_s']:.1f}",
            f"{row['attention_s']:.1f}",
            str(row.get("expression") or "–"),
            f"{row['eye_distance_px']:.0f}",
        )
        for row in found.visits[:MOST_ROWS]
    )
    head = ("visit", "when", "in view, s", "facing, s", "mostly", "eyes apart, px")
    page.add(Table(head, rows, capped("Visits", found.visits), frozenset({0, 2, 3, 5}), True))


def _units(page: Document, found: Findings) -> None:
    page.add(Heading("Action units", "units"))
    read = float(found.course.sums("estimates").sum())
    if not read:
        page.add(Paragraph("No reading."))
        return
    means = found.course.sums("units").sum(axis=0) / read
    order = sorted(zip(ACTION_UNITS, map(float, means), strict=True), key=lambda item: -item[1])
    alt = "Mean intensities: " + ", ".join(f"{unit} {mean:.2f}" for unit, mean in order[:4])
    caption = (
        "Intensity from 0 to 1 over time, FACS numbers; at the right the mean over all readings"
    )
    page.add(Figure(draw_faces.action_units(found), alt, caption, caveats.UNITS))
    rows = tuple(
        (unit, draw_faces.unit_name(unit), f"{mean:.3f}")
        for unit, mean in zip(ACTION_UNITS, map(float, means), strict=True)
    )
    page.add(Table(("unit", "movement", "mean"), rows, "Means over all readings", frozenset({2}),
                   True, paper=False))  # fmt: skip


def _micro(page: Document, found: Findings) -> None:
    page.add(Heading("Micro-expressions", "micro"))
    events, seconds = found.micro, found.analysable
    expected = found.expected
    chance = (
        "chance alone was not measured at this threshold"
        if expected is None
        else f"about {expected:.1f} expected by chance alone"
    )
    page.add(
        Facts(
            (
                ("Spotted", f"{len(events)} in {seconds / 60:.1f} analysable face-minutes"),
                ("By chance", chance),
                ("Could not be seen", refusals(found)),
            )
        )
    )
    alt = f"{len(events)} micro-expressions over time by score; {chance}."
    caption = (
        "Each from onset to offset, the diamond at its apex, with its action units; the band below "
        "says in which share of the faces one could be seen, and why not in the others"
        f"{drawn(events)}"
    )
    caveat = caveats.micro(found.false_alarms)
    page.add(Figure(draw_signs.micro_strip(found), alt, caption, caveat))
    rows = tuple(micro_row(event) for event in events[:MOST_ROWS])
    if rows:
        head = ("onset", "apex", "offset", "s", "visit", "action units", "polarity", "score",
                "extent, %")  # fmt: skip
        caption = capped("Events in order of time; extent in hundredths of the eyes' distance",
                          events)  # fmt: skip
        page.add(Table(head, rows, caption, frozenset({0, 1, 2, 3, 4, 7, 8})))


def _voice(page: Document, found: Findings) -> None:
    page.add(Heading("Voice and words", "voice"))
    if not found.heard:
        page.add(Paragraph("The film has no sound that can be read." if found.silent else
                           "Nobody listened."))  # fmt: skip
        if not found.words:
            return
    tones = found.tones
    seconds = sum(row["end_s"] - row["start_s"] for row in tones)
    shares = ", ".join(f"{k} {v:.0%}" for k, v in found.tone_shares.items() if v)
    alt = f"Speech over time; {len(tones)} readings of tone: {shares or 'none'}."
    many = " (drawn: what most in a column are)" if len(tones) > draw_faces.MOST_MARKS else ""
    caption = f"Speech's probability, and {len(tones)} tones read from {seconds:.0f} s{many}. " + (
        _words_text(found)
    )
    caveat = caveats.VOICE
    if found.words:
        caveat = Caveat(f"{caveat.text} {caveats.WORDS.text}", (*caveat.sources, "cards"))
    page.add(Figure(draw_signs.voice(found), alt, caption, caveat))
    rows = tuple(
        (
            f"{clock(r['start_s'], True)}–{clock(r['end_s'], True)}",
            str(r["visit"] or "the room"),
            r["label"],
            f"{r['score']:.2f}",
            signed(r["valence"]),
            signed(r["arousal"]),
        )
        for r in tones[:MOST_ROWS]
    )
    if rows:
        head = ("when", "visit", "sounds", "probability", "valence", "arousal")
        page.add(Table(head, rows, capped("Readings of tone", tones), frozenset({3, 4, 5}), True))


def _words_text(found: Findings) -> str:
    if not found.policy.reads:
        return "Words were not read"
    if not found.subtitled:
        return "No words: there are no subtitles beside the film"
    counts = Counter(row["label"] for row in found.words)
    named = ", ".join(f"{name} {counts[name]}" for name in (*SENTIMENTS, UNSURE) if counts[name])
    return f"Words: {len(found.words)} lines of subtitles ({named or 'none'})"


def _quality(page: Document, found: Findings) -> None:
    page.add(Heading("How far to trust it", "quality"))
    flags = "; ".join(
        f"{flag_name(flag)} ({count} of {len(found.windows)} windows)"
        for flag, count in found.flags.items()
    )
    items = [
        ("Usable", f"{found.usable:.1%} of the frames; {found.dropped} damaged or left out"),
        ("Frame rate", f"{found.fps:.4g} a second looked at, {found.fps_stated:.4g} stated"),
        ("Flags", flags or "none"),
        ("Times", f"{found.bad_times} impossible; {found.size_changes} changes of size"),
    ]
    if found.damaged_sound:
        items.append(("Sound", f"{found.damaged_sound} damaged packets"))
    if found.brief:
        items.append(("Flickers", f"{found.brief} faces of less than .2 s are not counted"))
    page.add(Facts(tuple(items)))
    alt = f"Brightness over time, and faces by size. Flags: {flags or 'none'}."
    caption = "Light of the pictures, and how large the faces are"
    page.add(Figure(draw_signs.quality(found), alt, caption, caveats.QUALITY))


def _how_to_read(page: Document, found: Findings) -> None:
    page.add(Heading("What this page does not say", "refused"))
    rows = tuple((what, why) for what, why in caveats.REFUSED)
    page.add(Table(("not said", "why"), rows, "Refused"))
    used = {key for block in page.blocks for key in _sources(block)}
    page.add(Heading("Sources", "sources"))
    for key, text in caveats.SOURCES.items():
        if key in used:
            page.add(Paragraph(text, "small"))


def _sources(block: object) -> tuple[str, ...]:
    if isinstance(block, Figure):
        return block.caveat.sources
    return block.sources if isinstance(block, Caveat) else ()
