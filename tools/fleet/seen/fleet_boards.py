"""Dashboards of how a fleet is: overview, one device, roll-outs, data quality."""

from __future__ import annotations

from tools.fleet.seen.grafana import TO, Board, bucket, chosen, within

_GOOD = ((None, "red"), (1, "green"))
_NONE_IS_GOOD = ((None, "green"), (1, "orange"))
_DEVICES = "SELECT device FROM devices"
_GROUPS = "SELECT grp FROM devices WHERE grp IS NOT NULL"
_MONTH = 30 * 86_400


def overview() -> Board:
    """Is the fleet well, and who is not."""
    board = Board("fleeting-fleet", "Fleeting: fleet", "Is the fleet well, and who is not.")
    board.pick("grp", "Group", _GROUPS)
    here = chosen("grp", "grp")
    for title, condition, steps in (
        ("Online", "status = 'online'", _GOOD),
        ("Stale", "status = 'stale'", _NONE_IS_GOOD),
        ("Offline", "status = 'offline'", _NONE_IS_GOOD),
    ):
        board.stat(
            title,
            f"SELECT COUNT(*) AS devices FROM device_status WHERE {condition} AND {here}",
            steps=steps,
        )
    board.stat(
        "Summaries in this time",
        f"SELECT COUNT(*) AS summaries FROM summaries WHERE {within('received')}",
    )
    board.stat(
        "Messages missing",
        "SELECT COALESCE(SUM(missing), 0) AS missing FROM open_gaps",
        steps=_NONE_IS_GOOD,
    )
    board.stat(
        "Refused in this time",
        f"SELECT COUNT(*) AS refused FROM quarantine WHERE {within('received')}",
        steps=_NONE_IS_GOOD,
    )
    board.lines(
        "Summaries stored",
        f"SELECT {bucket('received')}, COUNT(*) AS summaries FROM summaries"
        f" WHERE {within('received')} GROUP BY 1 ORDER BY 1",
        style="bars",
    )
    board.lines(
        "Events",
        f"SELECT {bucket('received')}, code AS metric, SUM(count) AS value FROM events"
        f" WHERE {within('received')} GROUP BY 1, 2 ORDER BY 1",
        style="bars",
        stacked=True,
    )
    board.bars(
        "Version of the package",
        "SELECT COALESCE(app, 'unknown') AS version, COUNT(*) AS devices FROM devices"
        f" WHERE revoked_at IS NULL AND {here} GROUP BY 1 ORDER BY 1",
        width=8,
    )
    board.bars(
        "Policy",
        "SELECT COALESCE(policy, 'unknown') AS policy, COUNT(*) AS devices FROM devices"
        f" WHERE revoked_at IS NULL AND {here} GROUP BY 1 ORDER BY 1",
        width=8,
    )
    board.bars(
        "Perception",
        "SELECT perception, COUNT(*) AS devices FROM latest_health GROUP BY 1 ORDER BY 1",
        width=8,
        about="Of the newest message of health. quiet: quiet hours; hot: it waits until the board "
        "has cooled; stalled: no pictures come; absent: the seeing half does not run.",
    )
    board.table(
        "Devices that need somebody",
        "SELECT s.device, s.grp, s.status, h.perception, h.power, h.disk, s.openings, s.app,"
        " s.heard_at * 1000 AS heard, s.certificate_end * 1000 AS certificate_ends"
        " FROM device_status s LEFT JOIN latest_health h ON h.device = s.device"
        f" WHERE s.status <> 'revoked' AND {chosen('grp', 's.grp')} AND (s.status <> 'online'"
        " OR h.perception IN ('hot', 'stalled', 'absent') OR h.power IN ('undervolt', 'throttled')"
        " OR h.disk IN ('low', 'full') OR COALESCE(s.openings, '[]') <> '[]'"
        f" OR s.certificate_end < {TO} + {_MONTH}) ORDER BY s.heard_at, s.device LIMIT 500",
        height=10,
        units={"heard": "dateTimeAsIso", "certificate_ends": "dateTimeAsIso"},
        about="Not online, sees nothing, too hot, short of power or disk, a wall of its sandbox "
        "open, or a certificate that ends within 30 days.",
    )
    return board


def device() -> Board:
    """One device, all that is known of it."""
    board = Board("fleeting-device", "Fleeting: device", "One device, all that is known of it.")
    board.pick("device", "Device", _DEVICES, everything=False)
    here = "device = ${device:sqlstring}"
    board.stat(
        "State",
        "SELECT status, COALESCE(app, 'unknown') AS app, COALESCE(models, 'unknown') AS models,"
        f" COALESCE(policy, 'unknown') AS policy FROM device_status WHERE {here}",
        unit="none",
        width=12,
        words=True,
    )
    for title, column in (("Last heard", "heard_at"), ("Certificate ends", "certificate_end")):
        board.stat(
            title,
            f"SELECT {column} * 1000 AS at FROM device_status WHERE {here}",
            unit="dateTimeFromNow",
        )
    board.stat(
        "Messages missing",
        f"SELECT COALESCE(SUM(missing), 0) AS missing FROM open_gaps WHERE {here}",
        steps=_NONE_IS_GOOD,
    )
    shown = f"{here} AND {within('received')}"
    board.lines(
        "Visits, one point a window (noised)",
        f"SELECT received AS time, visits FROM slots WHERE {shown} AND visits IS NOT NULL"
        " ORDER BY 1",
        style="points",
        about="Each point carries the noise of its window; negative ones are noise.",
    )
    board.lines(
        "Windows withheld",
        f"SELECT {bucket('received')}, SUM(CASE WHEN visits IS NULL THEN 1 ELSE 0 END) AS withheld,"
        f" COUNT(*) AS windows FROM slots WHERE {shown} GROUP BY 1 ORDER BY 1",
        style="bars",
        about="Fewer noised visits than k. They are counted in a later window.",
    )
    for title, columns, unit in (
        ("Frames a second", "fps", "hertz"),
        ("Temperature", "temperature", "celsius"),
        ("Waiting in the outbox, at least", "waiting", "short"),
        ("Memory of the talking half", "memory", "decmbytes"),
    ):
        board.lines(
            title,
            f"SELECT received AS time, {columns} FROM health WHERE {shown} ORDER BY 1",
            unit=unit,
            width=6,
        )
    board.table(
        "Events",
        f"SELECT received * 1000 AS received, code, count FROM events WHERE {shown}"
        " ORDER BY received DESC LIMIT 200",
        width=8,
        units={"received": "dateTimeAsIso"},
    )
    board.table(
        "Jobs",
        "SELECT created_at * 1000 AS created, kind, version, status, step, reason FROM jobs"
        f" WHERE {here} ORDER BY created_at DESC LIMIT 50",
        width=8,
        units={"created": "dateTimeAsIso"},
    )
    board.table(
        "Gaps",
        f"SELECT stream, boot, first_seq, last_seq, missing, found_at * 1000 AS found"
        f" FROM open_gaps WHERE {here} ORDER BY found_at DESC LIMIT 200",
        width=8,
        units={"found": "dateTimeAsIso"},
    )
    return board


def rollouts() -> Board:
    """How updates go."""
    board = Board("fleeting-rollouts", "Fleeting: roll-outs", "How updates go.", since="now-7d")
    for title, condition, steps in (
        ("Running", "status = 'RUNNING'", ((None, "text"),)),
        ("Halted", "status = 'HALTED'", _NONE_IS_GOOD),
    ):
        board.stat(
            f"Roll-outs: {title.lower()}",
            f"SELECT COUNT(*) AS rollouts FROM rollouts WHERE {condition}",
            steps=steps,
        )
    board.stat("Open jobs", "SELECT COUNT(*) AS jobs FROM open_jobs")
    ended = within("ended_at")
    board.stat(
        "Succeeded in this time",
        f"SELECT COUNT(*) AS jobs FROM jobs WHERE status = 'SUCCEEDED' AND {ended}",
    )
    board.stat(
        "Rolled back in this time",
        f"SELECT COUNT(*) AS jobs FROM jobs WHERE step = 'ROLLED_BACK' AND {ended}",
        steps=_NONE_IS_GOOD,
    )
    board.stat(
        "Median time of an update",
        "SELECT seconds FROM (SELECT ended_at - started_at AS seconds,"
        " ROW_NUMBER() OVER (ORDER BY ended_at - started_at) AS place, COUNT(*) OVER () AS number"
        f" FROM jobs WHERE status = 'SUCCEEDED' AND {ended}) ranked"
        " WHERE place = (number + 1) / 2",
        unit="s",
    )
    board.table(
        "Roll-outs",
        "SELECT r.rollout, r.kind, r.version, r.status, r.wave + 1 AS wave, r.selection,"
        " COUNT(j.job) AS jobs, SUM(CASE WHEN j.status = 'SUCCEEDED' THEN 1 ELSE 0 END) AS"
        " succeeded, SUM(CASE WHEN j.status IN ('FAILED', 'TIMED_OUT') THEN 1 ELSE 0 END) AS"
        " failed, SUM(CASE WHEN j.status = 'REJECTED' THEN 1 ELSE 0 END) AS rejected,"
        " SUM(CASE WHEN j.status IN ('QUEUED', 'IN_PROGRESS') THEN 1 ELSE 0 END) AS open,"
        " r.created_at * 1000 AS created FROM rollouts r LEFT JOIN jobs j ON j.rollout = r.rollout"
        " GROUP BY r.rollout, r.kind, r.version, r.status, r.wave, r.selection, r.created_at"
        " ORDER BY r.created_at DESC LIMIT 50",
        units={"created": "dateTimeAsIso"},
    )
    board.lines(
        "Jobs ended",
        f"SELECT {bucket('ended_at')}, status AS metric, COUNT(*) AS value FROM jobs"
        f" WHERE {ended} GROUP BY 1, 2 ORDER BY 1",
        style="bars",
        stacked=True,
    )
    board.bars(
        "Why jobs did not succeed",
        f"SELECT COALESCE(reason, status) AS reason, COUNT(*) AS jobs FROM jobs WHERE {ended}"
        " AND status IN ('FAILED', 'TIMED_OUT', 'REJECTED') GROUP BY 1 ORDER BY 2 DESC, 1",
        about="The device's own words; see agent/base/report/job.py.",
    )
    board.bars(
        "Where open jobs are",
        "SELECT COALESCE(step, 'not begun') AS step, COUNT(*) AS jobs FROM open_jobs"
        " GROUP BY 1 ORDER BY 1",
    )
    board.bars(
        "Version of the models",
        "SELECT COALESCE(models, 'unknown') AS version, COUNT(*) AS devices FROM devices"
        " WHERE revoked_at IS NULL GROUP BY 1 ORDER BY 1",
    )
    board.table(
        "Devices whose job did not succeed",
        "SELECT device, kind, version, status, step, reason, ended_at * 1000 AS ended FROM jobs"
        f" WHERE {ended} AND status IN ('FAILED', 'TIMED_OUT', 'REJECTED')"
        " ORDER BY ended_at DESC, device LIMIT 200",
        width=12,
        units={"ended": "dateTimeAsIso"},
    )
    board.table(
        "Oldest open jobs",
        "SELECT device, version, status, step, age, deadline * 1000 AS deadline FROM open_jobs"
        " ORDER BY age DESC, device LIMIT 200",
        width=12,
        units={"age": "s", "deadline": "dateTimeAsIso"},
    )
    return board


def quality() -> Board:
    """Whether what is stored is all, and can be trusted."""
    board = Board(
        "fleeting-quality",
        "Fleeting: data quality",
        "Whether what is stored is all, and can be trusted.",
        since="now-7d",
    )
    board.pick("device", "Device", _DEVICES)
    here = chosen("device", "device")
    shown = f"{here} AND {within('received')}"
    board.stat(
        "Ranges missing",
        f"SELECT COUNT(*) AS ranges FROM open_gaps WHERE {here}",
        steps=_NONE_IS_GOOD,
    )
    board.stat(
        "Messages missing",
        f"SELECT COALESCE(SUM(missing), 0) AS missing FROM open_gaps WHERE {here}",
        steps=_NONE_IS_GOOD,
    )
    board.stat(
        "Gaps filled in this time",
        f"SELECT COUNT(*) AS ranges FROM gaps WHERE {here} AND {within('filled_at')}",
    )
    board.stat(
        "Equal copies so far",
        f"SELECT COALESCE(SUM(total), 0) AS copies FROM counts WHERE name = 'duplicate' AND {here}",
    )
    board.stat(
        "Refused so far",
        f"SELECT COALESCE(SUM(total), 0) AS refused FROM counts WHERE name <> 'duplicate'"
        f" AND {here}",
        steps=_NONE_IS_GOOD,
    )
    board.stat(
        "Windows withheld",
        "SELECT SUM(CASE WHEN visits IS NULL THEN 1.0 ELSE 0.0 END) / NULLIF(COUNT(*), 0) AS share"
        f" FROM slots WHERE {shown}",
        unit="percentunit",
    )
    board.lines(
        "Gaps found",
        f"SELECT {bucket('found_at')}, SUM(last_seq - first_seq + 1) AS missing,"
        " SUM(CASE WHEN filled_at IS NULL THEN 0 ELSE last_seq - first_seq + 1 END) AS came_later"
        f" FROM gaps WHERE {here} AND {within('found_at')} GROUP BY 1 ORDER BY 1",
        style="bars",
    )
    board.lines(
        "Refused messages",
        f"SELECT {bucket('received')}, reason AS metric, COUNT(*) AS value FROM quarantine"
        f" WHERE {shown} GROUP BY 1, 2 ORDER BY 1",
        style="bars",
        stacked=True,
    )
    board.lines(
        "How late windows come",
        f"SELECT {bucket('received')}, AVG(received - at - length) AS mean,"
        f" MAX(received - at - length) AS latest FROM slots WHERE {shown} AND timed = 1"
        " GROUP BY 1 ORDER BY 1",
        unit="s",
        about="From a window's end to its row. A window closes some seconds after its end; a "
        "device that was offline sends up to 7 days later.",
    )
    board.lines(
        "Windows without a time",
        f"SELECT {bucket('received')}, SUM(1 - timed) AS windows FROM slots WHERE {shown}"
        " GROUP BY 1 ORDER BY 1",
        style="bars",
        about="The device's clock was not trusted. They are placed by the time they came.",
    )
    board.table(
        "Why cells are withheld",
        "SELECT CASE"
        " WHEN withheld = '' THEN 'nothing withheld'"
        " WHEN withheld LIKE '%visits:below_k%' THEN 'fewer than k visits'"
        " WHEN withheld LIKE '%micro:fps_too_low%' THEN 'micro: too few frames'"
        " WHEN withheld LIKE '%micro:face_too_small%' THEN 'micro: faces too small'"
        " WHEN withheld LIKE '%micro:too_noisy%' THEN 'micro: pictures too noisy'"
        " WHEN withheld LIKE '%micro:no_evidence%' THEN 'micro: nothing to see'"
        " ELSE 'by policy, or no microphone' END AS reason, COUNT(*) AS windows FROM slots"
        f" WHERE {shown} GROUP BY 1 ORDER BY 2 DESC",
        width=8,
        about="The first reason of each window.",
    )
    board.table(
        "Problems that windows name",
        " UNION ALL ".join(
            f"SELECT '{flag}' AS flag, COUNT(*) AS windows FROM slots"
            f" WHERE {shown} AND flags LIKE '%{flag}%'"
            for flag in ("low_light", "throttled", "undervolt", "camera_restart", "frames_dropped",
                         "bad_timestamps", "saturated")
        ),
        width=8,
    )  # fmt: skip
    board.table(
        "Newest receipt of each device",
        "SELECT device, MAX(number) AS number, MAX(received) * 1000 AS received FROM receipts"
        f" WHERE {here} GROUP BY device ORDER BY 3, 1 LIMIT 500",
        width=8,
        units={"received": "dateTimeAsIso"},
        about="One a day; fleeting-fleet receipts verify checks them.",
    )
    board.table(
        "Missing messages",
        "SELECT device, stream, boot, first_seq, last_seq, missing, found_at * 1000 AS found"
        f" FROM open_gaps WHERE {here} ORDER BY missing DESC, device LIMIT 500",
        width=12,
        units={"found": "dateTimeAsIso"},
    )
    board.table(
        "Refused messages, newest first",
        "SELECT received * 1000 AS received, device, topic, reason, size FROM quarantine"
        f" WHERE {shown} ORDER BY id DESC LIMIT 200",
        width=12,
        units={"received": "dateTimeAsIso"},
        about="What they held is in the table; whoever may write could write anything.",
    )
    return board
