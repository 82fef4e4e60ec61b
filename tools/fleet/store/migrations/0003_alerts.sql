-- Alerts, and messages about them to other programs.

INSERT INTO lease VALUES ('alerts', '', 0, 0);

-- A condition of a device, or of the fleet: at most one that has not ended for each device and kind.
CREATE TABLE alerts (
    id {id},
    device TEXT NOT NULL,           -- empty: the fleet as a whole
    kind TEXT NOT NULL,
    severity TEXT NOT NULL,         -- critical, warning, info
    severity_rank BIGINT NOT NULL,  -- 0: critical
    since BIGINT NOT NULL,          -- the condition holds since then
    last BIGINT NOT NULL,           -- it was last seen to hold, to ten minutes
    raised_at BIGINT,               -- NULL: it has not held for long enough, and nobody is told
    gone_at BIGINT,                 -- it does not hold since then, but may come back; NULL: it holds
    ended BIGINT,
    detail TEXT NOT NULL,           -- JSON
    acknowledged_by TEXT,
    acknowledged_at BIGINT,
    silenced_until BIGINT
);

CREATE UNIQUE INDEX alerts_one_open ON alerts (device, kind) WHERE ended IS NULL;

CREATE INDEX alerts_ranked ON alerts (severity_rank, since) WHERE ended IS NULL;

CREATE INDEX alerts_kind ON alerts (kind, device) WHERE ended IS NULL;

CREATE INDEX alerts_ended ON alerts (ended, id);

CREATE INDEX alerts_device ON alerts (device, id);

-- A device's visits of one day (UTC), hour by hour, noised as they came: what is usual.
CREATE TABLE alert_days (
    device TEXT NOT NULL,
    day BIGINT NOT NULL,            -- since 1970-01-01
    hours TEXT NOT NULL,            -- JSON; see tools.fleet.alerts.hours
    PRIMARY KEY (device, day)
);

CREATE INDEX alert_days_day ON alert_days (day);

-- What each device's sandbox was at its best.
CREATE TABLE alert_walls (
    device TEXT PRIMARY KEY,
    openings TEXT NOT NULL,         -- JSON list
    layers TEXT NOT NULL,           -- JSON list
    schemas TEXT                    -- of the release that said so
);

-- What the last examination of a device's receipts said, and up to which one.
CREATE TABLE alert_receipts (
    device TEXT PRIMARY KEY,
    checked_at BIGINT NOT NULL,
    verdict TEXT NOT NULL,          -- valid, incomplete, invalid
    said TEXT NOT NULL
);

-- How far a pass over the fleet's messages has come, and when one was last made.
CREATE TABLE alert_marks (name TEXT PRIMARY KEY, at BIGINT NOT NULL);

-- Whom to tell. Address and secret lie in a file of the fleet's folder, not here.
CREATE TABLE webhooks (
    webhook TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    kinds TEXT NOT NULL,            -- JSON list; empty: all
    severity_rank BIGINT NOT NULL,  -- the least severe that it is told
    created_at BIGINT NOT NULL,
    failures BIGINT NOT NULL DEFAULT 0,
    retry_at BIGINT NOT NULL DEFAULT 0
);

-- Written in the transaction that changes the alert; sent afterwards, at least once.
CREATE TABLE deliveries (
    delivery TEXT PRIMARY KEY,
    webhook TEXT NOT NULL,
    event TEXT NOT NULL,            -- raised, worsened, ended, test
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    due_at BIGINT NOT NULL,
    delivered_at BIGINT,
    dead_at BIGINT,                 -- given up
    said TEXT                       -- how the last attempt went
);

CREATE INDEX deliveries_due ON deliveries (webhook, due_at)
    WHERE delivered_at IS NULL AND dead_at IS NULL;

CREATE INDEX deliveries_created ON deliveries (created_at);
