-- Everything that is known of a fleet. One text for SQLite and PostgreSQL: {id} is an identity
-- column, {now} the current Unix time. Times are Unix seconds (UTC); JSON is TEXT.
-- A statement ends with a semicolon at the end of a line, and nothing else does.

CREATE TABLE devices (
    device TEXT PRIMARY KEY,
    state TEXT,                     -- online, offline; NULL: never said
    state_at BIGINT,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    boot TEXT,
    app TEXT,                       -- version of the package in force
    models TEXT,                    -- version of the models in force
    model TEXT,                     -- hash of the models, Meta.birth.model
    policy TEXT,
    policy_hash TEXT,
    schemas TEXT,
    receipt_key TEXT,
    settings BIGINT,
    window_length BIGINT,
    k BIGINT,
    openings TEXT,                  -- JSON list: walls that a device found open in itself
    meta TEXT,
    meta_at BIGINT,
    reported TEXT,
    reported_version BIGINT,
    reported_defaults BIGINT,
    reported_at BIGINT,
    grp TEXT,
    certificate_end BIGINT,
    revoked_at BIGINT
);

CREATE TABLE tags (device TEXT NOT NULL, tag TEXT NOT NULL, PRIMARY KEY (device, tag));

CREATE TABLE groups (name TEXT PRIMARY KEY, query TEXT NOT NULL);

CREATE TABLE desired (
    device TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    config TEXT NOT NULL,
    changed_at BIGINT NOT NULL
);

CREATE TABLE group_desired (
    name TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    config TEXT NOT NULL,
    changed_at BIGINT NOT NULL
);

-- A message as it came: (device, boot, seq) is what makes it the only one.
CREATE TABLE summaries (
    device TEXT NOT NULL,
    boot TEXT NOT NULL,
    seq BIGINT NOT NULL,
    received BIGINT NOT NULL,
    start_at BIGINT,                -- NULL: the device's clock was not trusted; then offset_s
    offset_s BIGINT,
    length BIGINT NOT NULL,
    slot BIGINT NOT NULL,
    clock TEXT NOT NULL,
    merged BIGINT NOT NULL,
    visits BIGINT,
    body TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (device, boot, seq)
);

CREATE INDEX summaries_received ON summaries (received);

-- The numbers of each summary as columns, written in its transaction; a hypertable over `received`
-- where TimescaleDB is present, for which reason it has no unique key.
CREATE TABLE slots (
    device TEXT NOT NULL,
    boot TEXT NOT NULL,
    seq BIGINT NOT NULL,
    received BIGINT NOT NULL,
    at BIGINT NOT NULL,             -- start of the window; where that is unknown, `received`
    timed BIGINT NOT NULL,          -- 1: `at` is the window's start
    length BIGINT NOT NULL,
    slot BIGINT NOT NULL,
    merged BIGINT NOT NULL,
    policy TEXT NOT NULL,
    epsilon_milli BIGINT NOT NULL,
    k BIGINT NOT NULL,
    fps BIGINT NOT NULL,
    usable BIGINT NOT NULL,
    flags TEXT NOT NULL,            -- comma between
    withheld TEXT NOT NULL,         -- cell:reason, comma between
    visits BIGINT,
    expression_neutral BIGINT,
    expression_happiness BIGINT,
    expression_surprise BIGINT,
    expression_sadness BIGINT,
    expression_anger BIGINT,
    expression_disgust BIGINT,
    expression_fear BIGINT,
    expression_contempt BIGINT,
    expression_unsure BIGINT,
    valence_sum BIGINT,
    arousal_sum BIGINT,
    attention_under_1 BIGINT,
    attention_from_1_to_5 BIGINT,
    attention_from_5_to_15 BIGINT,
    attention_over_15 BIGINT,
    dwell_under_5 BIGINT,
    dwell_from_5_to_15 BIGINT,
    dwell_from_15_to_30 BIGINT,
    dwell_from_30_to_60 BIGINT,
    dwell_over_60 BIGINT,
    micro_positive BIGINT,
    micro_negative BIGINT,
    micro_surprise BIGINT,
    micro_unspecified BIGINT,
    micro_analysable_visits BIGINT,
    micro_analysable_seconds BIGINT,
    micro_expected_false_alarms_tenths BIGINT,
    tone_angry BIGINT,
    tone_happy BIGINT,
    tone_sad BIGINT,
    tone_neutral BIGINT,
    tone_unsure BIGINT,
    voice TEXT,                     -- NULL: a summary without voices and words
    text TEXT,
    sound_flags TEXT,
    speech_none BIGINT,
    speech_under_5 BIGINT,
    speech_from_5_to_15 BIGINT,
    speech_over_15 BIGINT,
    voice_valence_sum BIGINT,
    voice_arousal_sum BIGINT,
    words_negative BIGINT,
    words_neutral BIGINT,
    words_positive BIGINT,
    words_unsure BIGINT,
    fused_negative BIGINT,
    fused_neutral BIGINT,
    fused_positive BIGINT,
    fused_unsure BIGINT,
    channels_face BIGINT,
    channels_voice BIGINT,
    channels_words BIGINT,
    room_tone_angry BIGINT,
    room_tone_happy BIGINT,
    room_tone_sad BIGINT,
    room_tone_neutral BIGINT,
    room_tone_unsure BIGINT,
    room_words_negative BIGINT,
    room_words_neutral BIGINT,
    room_words_positive BIGINT,
    room_words_unsure BIGINT
);

CREATE INDEX slots_device ON slots (device, received);

CREATE INDEX slots_received ON slots (received);

CREATE TABLE health (
    device TEXT NOT NULL,
    received BIGINT NOT NULL,
    boot TEXT,
    perception TEXT NOT NULL,
    fps BIGINT NOT NULL,
    temperature BIGINT,
    power TEXT NOT NULL,
    memory BIGINT NOT NULL,
    disk TEXT NOT NULL,
    waiting BIGINT NOT NULL,
    trimmed BIGINT NOT NULL,
    clock TEXT NOT NULL,
    PRIMARY KEY (device, received)
);

CREATE TABLE events (
    device TEXT NOT NULL,
    boot TEXT NOT NULL,
    seq BIGINT NOT NULL,
    code TEXT NOT NULL,
    count BIGINT NOT NULL,
    at BIGINT,
    offset_s BIGINT NOT NULL,
    received BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (device, boot, seq)
);

CREATE INDEX events_received ON events (received);

CREATE TABLE receipts (
    device TEXT NOT NULL,
    key TEXT NOT NULL,
    number BIGINT NOT NULL,
    body TEXT NOT NULL,
    received BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (device, key, number)
);

CREATE TABLE rollouts (
    rollout TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    version TEXT NOT NULL,
    status TEXT NOT NULL,
    waves TEXT NOT NULL,            -- JSON
    wave BIGINT NOT NULL,
    gates TEXT NOT NULL,            -- JSON
    abort_rules TEXT NOT NULL,      -- JSON
    selection TEXT NOT NULL,
    reason TEXT,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    wave_at BIGINT,
    ended_at BIGINT
);

CREATE TABLE jobs (
    job TEXT PRIMARY KEY,
    device TEXT NOT NULL,
    rollout TEXT,
    kind TEXT NOT NULL,
    version TEXT NOT NULL,
    status TEXT NOT NULL,
    step TEXT,
    reason TEXT,
    number BIGINT,
    created_at BIGINT NOT NULL,
    queued_at BIGINT,
    started_at BIGINT,
    ended_at BIGINT,
    deadline BIGINT
);

CREATE INDEX jobs_device ON jobs (device);

CREATE INDEX jobs_rollout ON jobs (rollout);

CREATE TABLE enrolments (
    device TEXT NOT NULL,
    csr_sha256 TEXT NOT NULL,
    csr TEXT NOT NULL,              -- PEM
    fingerprint TEXT NOT NULL,      -- of its key: SHA-256, 16 groups of 4 digits
    kind TEXT NOT NULL,             -- bootstrap, renewal
    voucher TEXT NOT NULL,          -- hex: serial of the certificate that vouches for it
    state TEXT NOT NULL,            -- waiting, approved, rejected, revoked
    reason TEXT,                    -- of a rejection
    received BIGINT NOT NULL,
    decided_at BIGINT,
    answered_at BIGINT,             -- NULL: the device is still to be told
    serial TEXT,                    -- hex
    certificate TEXT,               -- PEM
    not_after BIGINT,
    revoked_at BIGINT,
    PRIMARY KEY (device, csr_sha256)
);

-- What was no message of an honest device: the newest of each device, and how many there were.
CREATE TABLE quarantine (
    id {id},
    device TEXT NOT NULL,           -- empty: the topic names none
    topic TEXT NOT NULL,
    reason TEXT NOT NULL,
    size BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    body TEXT NOT NULL,             -- its beginning, escaped to ASCII
    received BIGINT NOT NULL
);

CREATE INDEX quarantine_device ON quarantine (device, id);

CREATE TABLE counts (
    device TEXT NOT NULL,
    name TEXT NOT NULL,             -- duplicate, or a reason of the quarantine
    total BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (device, name)
);

-- How far each numbering has come. A device numbers its summaries in one series over all its
-- starts, its events in another; receipts are numbered by key. `series` counts how often a
-- numbering began anew (a lost outbox). Numbers go on past the point where a device's wrap. boot is
-- empty before the first message.
CREATE TABLE positions (
    device TEXT NOT NULL,
    stream TEXT NOT NULL,           -- summary, event, receipt
    chain TEXT NOT NULL,            -- a receipt's key, else empty
    series BIGINT NOT NULL,
    boot TEXT NOT NULL,             -- of the newest
    first_seq BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    received BIGINT NOT NULL,
    PRIMARY KEY (device, stream, chain)
);

-- Numbers first_seq to last_seq are missing; or were, until filled_at.
CREATE TABLE gaps (
    id {id},
    device TEXT NOT NULL,
    stream TEXT NOT NULL,
    chain TEXT NOT NULL,
    series BIGINT NOT NULL,
    boot TEXT NOT NULL,             -- of the message after the gap
    first_seq BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    found_at BIGINT NOT NULL,
    filled_at BIGINT
);

CREATE INDEX gaps_device ON gaps (device, stream, chain, series, last_seq);

CREATE INDEX gaps_open ON gaps (device, stream, chain, series, last_seq) WHERE filled_at IS NULL;

CREATE VIEW device_status AS
SELECT devices.*,
    CASE WHEN heard.received > devices.last_seen THEN heard.received
        ELSE devices.last_seen END AS heard_at,
    CASE
        WHEN devices.revoked_at IS NOT NULL THEN 'revoked'
        WHEN devices.state IS NULL THEN 'unknown'
        WHEN devices.state = 'offline' THEN 'offline'
        WHEN {now} - CASE WHEN heard.received > devices.last_seen THEN heard.received
            ELSE devices.last_seen END > 900 + 3 * COALESCE(devices.window_length, 900)
            THEN 'stale'
        ELSE 'online'
    END AS status
FROM devices
LEFT JOIN (SELECT device, MAX(received) AS received FROM positions GROUP BY device) AS heard
    ON heard.device = devices.device;

CREATE VIEW latest_health AS
SELECT health.* FROM health
JOIN (SELECT device, MAX(received) AS received FROM health GROUP BY device) AS newest
    ON newest.device = health.device AND newest.received = health.received;

CREATE VIEW open_gaps AS
SELECT device, stream, chain, series, boot, first_seq, last_seq,
    last_seq - first_seq + 1 AS missing, found_at
FROM gaps WHERE filled_at IS NULL;

CREATE VIEW open_jobs AS
SELECT jobs.*, {now} - created_at AS age FROM jobs WHERE status IN ('QUEUED', 'IN_PROGRESS');
