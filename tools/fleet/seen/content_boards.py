"""Dashboards of what happened in front of the screens: content, voice."""

from __future__ import annotations

from tools.fleet.seen.grafana import Board, bucket, chosen, within

SHARE, HEARD_SHARE = 5.5, 8.5
"""b of the visits is at most so many over epsilon: without, and with voices and words
(`agent.privacy.policy.rules.WEIGHTS`; a policy with fewer cells adds less)."""
_SCALE = f"CASE WHEN voice IS NULL THEN {SHARE} ELSE {HEARD_SHARE} END * 1000 / epsilon_milli"
_VARIANCE = (
    "SUM(CASE WHEN visits IS NULL OR epsilon_milli = 0 THEN 0.0"
    f" ELSE 2 * ({_SCALE}) * ({_SCALE}) * (merged + 1) END)"
)
"""Of the noise of a sum of visits, at most."""
_SLOT = "SELECT DISTINCT CAST(slot AS TEXT) AS slot FROM slots"
_DEVICES = "SELECT device FROM devices"
_GROUPS = "SELECT grp FROM devices WHERE grp IS NOT NULL"
_NOISE = (
    "**Every count is noised.** A window tells how many visits there were plus random noise, so "
    "that nobody can tell whether one visit took place. Single windows may be far off, even "
    "negative; sums over many windows are not: the noise of *n* windows grows with the root of "
    "*n*, the visits with *n*. The band, and `within`, hold the truth with 95 %. Windows with "
    "fewer than *k* visits are withheld and counted in a later one. Expression is not inner "
    "feeling. `fleeting-fleet export slots` has the noise of every number."
)


def _common(board: Board) -> str:
    """The variables of both, and the condition that they make."""
    board.pick("grp", "Group", _GROUPS)
    board.pick("device", "Device", _DEVICES)
    board.pick("slot", "Slot", _SLOT)
    return (
        f"{within('at')} AND {chosen('device', 'device')}"
        f" AND {chosen('slot', 'CAST(slot AS TEXT)')}"
        " AND (${grp:sqlstring} = '*'"
        " OR device IN (SELECT device FROM devices WHERE grp = ${grp:sqlstring}))"
    )


def _sums(cell: str, *names: str) -> str:
    return ", ".join(f"SUM({cell}_{name}) AS {name}" for name in names)


def _percent(part: str, whole: str) -> str:
    """A share of noised sums; nothing where the whole is too small to divide by."""
    return f"CASE WHEN SUM({whole}) >= 20 THEN SUM({part}) * 1.0 / SUM({whole}) END"


def content() -> Board:
    """What happened in front of each content slot."""
    board = Board(
        "fleeting-content",
        "Fleeting: content",
        "What happened in front of each content slot, and how sure that is.",
        since="now-7d",
    )
    here = _common(board)
    board.text(_NOISE)
    board.stat("Visits", f"SELECT SUM(visits) AS visits FROM slots WHERE {here}")
    board.stat(
        "Within (95 %)", f"SELECT 1.96 * SQRT({_VARIANCE}) AS within FROM slots WHERE {here}"
        " AND visits IS NOT NULL",
    )  # fmt: skip
    board.stat("Windows", f"SELECT COUNT(*) AS windows FROM slots WHERE {here}")
    board.stat(
        "Withheld",
        f"SELECT SUM(CASE WHEN visits IS NULL THEN 1.0 ELSE 0.0 END) / NULLIF(COUNT(*), 0) AS share"
        f" FROM slots WHERE {here}",
        unit="percentunit",
    )
    board.stat(
        "Valence, mean",
        "SELECT CASE WHEN SUM(visits) >= 20 THEN SUM(valence_sum) / 100.0 / SUM(visits) END"
        f" AS valence FROM slots WHERE {here} AND valence_sum IS NOT NULL",
    )
    board.stat(
        "Looked for 5 s or longer",
        f"SELECT {_percent('attention_from_5_to_15 + attention_over_15', 'visits')} AS share"
        f" FROM slots WHERE {here} AND attention_over_15 IS NOT NULL",
        unit="percentunit",
    )
    board.lines(
        "Visits",
        f"SELECT {bucket('at')}, SUM(visits) AS visits,"
        f" SUM(visits) - 1.96 * SQRT({_VARIANCE}) AS low,"
        f" SUM(visits) + 1.96 * SQRT({_VARIANCE}) AS high FROM slots"
        f" WHERE {here} AND visits IS NOT NULL GROUP BY 1 ORDER BY 1",
        width=24,
        band=("low", "high"),
        about="With the band that holds the truth with 95 %. A window that merges earlier ones "
        "stands at its own start.",
    )
    board.table(
        "Slots",
        "SELECT slot, COUNT(visits) AS windows, COUNT(*) - COUNT(visits) AS withheld,"
        f" SUM(visits) AS visits, 1.96 * SQRT({_VARIANCE}) AS within,"
        f" {_percent('expression_happiness', 'visits')} AS happiness,"
        f" {_percent('expression_surprise', 'visits')} AS surprise,"
        " CASE WHEN SUM(visits) >= 20 THEN SUM(valence_sum) / 100.0 / SUM(visits) END AS valence,"
        " CASE WHEN SUM(visits) >= 20 THEN SUM(arousal_sum) / 100.0 / SUM(visits) END AS arousal,"
        f" {_percent('attention_from_5_to_15 + attention_over_15', 'visits')} AS looked_5_s,"
        f" {_percent('dwell_from_30_to_60 + dwell_over_60', 'visits')} AS stayed_30_s"
        f" FROM slots WHERE {here} GROUP BY slot ORDER BY slot",
        units={
            "happiness": "percentunit", "surprise": "percentunit", "looked_5_s": "percentunit",
            "stayed_30_s": "percentunit",
        },
        about="Shares of noised sums; empty below 20 visits, where noise would decide.",
    )  # fmt: skip
    board.table(
        "Contents",
        "SELECT content, campaign, SUM(shown * length) / 360000.0 AS hours, SUM(visits) AS visits,"
        " SUM(passing) AS passed_by,"
        f" {_percent(_LOOKED, f'{_LOOKED} + attention_under_1 + passing')} AS noticed"
        f" FROM content_slots WHERE {here} GROUP BY content, campaign ORDER BY content",
        units={"noticed": "percentunit", "hours": "h"},
        about="By name, as `fleeting-fleet content import` told them. On show while the camera "
        "worked; noticed: looked for a second or longer, of all who came into view. Noised; "
        "`fleeting-fleet content played` has the ranges.",
    )
    board.bars(
        "Visits by dominant expression",
        f"SELECT CAST(slot AS TEXT) AS slot, {_sums('expression', *_EXPRESSIONS)}"
        f" FROM slots WHERE {here} AND expression_neutral IS NOT NULL GROUP BY slots.slot"
        " ORDER BY slots.slot",
        stacked=True,
    )
    board.bars(
        "Visits by seconds facing the camera",
        "SELECT CAST(slot AS TEXT) AS slot,"
        f" {_sums('attention', 'under_1', 'from_1_to_5', 'from_5_to_15', 'over_15')}"
        f" FROM slots WHERE {here} AND attention_under_1 IS NOT NULL GROUP BY slots.slot"
        " ORDER BY slots.slot",
        stacked=True,
    )
    board.bars(
        "Visits by seconds in view",
        f"SELECT CAST(slot AS TEXT) AS slot, {_sums('dwell', *_DWELL)}"
        f" FROM slots WHERE {here} AND dwell_under_5 IS NOT NULL GROUP BY slots.slot"
        " ORDER BY slots.slot",
        stacked=True,
    )
    board.table(
        "Micro-expressions, against chance",
        "SELECT slot, SUM(micro_positive + micro_negative + micro_surprise + micro_unspecified)"
        " AS visits_with_one, SUM(micro_expected_false_alarms_tenths) / 10.0 AS by_chance,"
        " SUM(micro_analysable_visits) AS analysable_visits,"
        " SUM(micro_analysable_seconds) AS analysable_seconds"
        f" FROM slots WHERE {here} AND micro_analysable_visits IS NOT NULL GROUP BY slot"
        " ORDER BY slot",
        width=12,
        units={"analysable_seconds": "s"},
        about="All four counts together are to be compared with what the spotter reports by "
        "chance in the same time.",
    )
    return board


_EXPRESSIONS = (
    "neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unsure",
)  # fmt: skip
_LOOKED = "attention_from_1_to_5 + attention_from_5_to_15 + attention_over_15"
_DWELL = ("under_5", "from_5_to_15", "from_15_to_30", "from_30_to_60", "over_60")


def voice() -> Board:
    """What voices and words said."""
    board = Board(
        "fleeting-voice",
        "Fleeting: voice and words",
        "What voices and words said, of sites that switched them on.",
        since="now-7d",
    )
    here = _common(board)
    heard = f"{here} AND voice IS NOT NULL"
    board.text(
        f"{_NOISE}\n\nTone is of what was said by whoever was alone in view; what belongs to no "
        "single visit is the room's: there each 20 seconds of speech count once at most."
    )
    board.lines(
        "Windows by what became of voices",
        f"SELECT {bucket('at')}, voice AS metric, COUNT(*) AS value FROM slots WHERE {heard}"
        " GROUP BY 1, 2 ORDER BY 1",
        style="bars",
        stacked=True,
    )
    board.lines(
        "Windows by what became of words",
        f"SELECT {bucket('at')}, text AS metric, COUNT(*) AS value FROM slots WHERE {heard}"
        " GROUP BY 1, 2 ORDER BY 1",
        style="bars",
        stacked=True,
    )
    for title, cell, names in (
        ("Visits by seconds of speech", "speech", ("none", "under_5", "from_5_to_15", "over_15")),
        ("Visits by dominant tone", "tone", _TONES),
        ("Visits by sentiment of their words", "words", _SENTIMENTS),
        ("Visits by face, voice and words together", "fused", _SENTIMENTS),
        ("Visits in which a channel took part", "channels", ("face", "voice", "words")),
        ("The room by tone", "room_tone", _TONES),
        ("The room by words", "room_words", _SENTIMENTS),
    ):
        board.bars(
            title,
            f"SELECT CAST(slot AS TEXT) AS slot, {_sums(cell, *names)} FROM slots"
            f" WHERE {heard} AND {cell}_{names[0]} IS NOT NULL GROUP BY slots.slot"
            " ORDER BY slots.slot",
            width=8,
            stacked=cell != "channels",
        )
    board.table(
        "Tone of visits, mean",
        "SELECT slot, SUM(visits) AS visits, CASE WHEN SUM(speech_under_5 + speech_from_5_to_15"
        " + speech_over_15) >= 20 THEN SUM(voice_valence_sum) / 100.0"
        " / SUM(speech_under_5 + speech_from_5_to_15 + speech_over_15) END AS valence,"
        " CASE WHEN SUM(speech_under_5 + speech_from_5_to_15 + speech_over_15) >= 20"
        " THEN SUM(voice_arousal_sum) / 100.0"
        " / SUM(speech_under_5 + speech_from_5_to_15 + speech_over_15) END AS arousal"
        f" FROM slots WHERE {heard} AND voice_valence_sum IS NOT NULL GROUP BY slot ORDER BY slot",
        width=8,
        about="Over visits that spoke; empty below 20 of them.",
    )
    board.table(
        "Problems of the sound",
        " UNION ALL ".join(
            f"SELECT '{flag}' AS flag, COUNT(*) AS windows FROM slots"
            f" WHERE {heard} AND sound_flags LIKE '%{flag}%'"
            for flag in ("sound_invalid", "sound_clipped", "sound_silent", "sound_lost")
        ),
        width=8,
    )
    return board


_TONES = ("angry", "happy", "sad", "neutral", "unsure")
_SENTIMENTS = ("negative", "neutral", "positive", "unsure")
