-- What the controller keeps besides.

-- Who acts. `token` rises with each holder: whoever has an older one can change nothing any more.
-- `beat` rises while the holder lives; a clock is not compared.
CREATE TABLE lease (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,           -- host:process; empty: given back
    token BIGINT NOT NULL,
    beat BIGINT NOT NULL
);

INSERT INTO lease VALUES ('controller', '', 0, 0);

-- Raised by each change that an operator makes, so that the controller looks at once.
CREATE TABLE asked (name TEXT PRIMARY KEY, number BIGINT NOT NULL);

INSERT INTO asked VALUES ('controller', 0);

-- What the broker has taken of the controller's retained messages.
CREATE TABLE told (topic TEXT PRIMARY KEY, sha256 TEXT NOT NULL, at BIGINT NOT NULL);

-- An operator's settings for one device; `desired` is what they and the device's groups make of it.
CREATE TABLE wished (device TEXT PRIMARY KEY, config TEXT NOT NULL, changed_at BIGINT NOT NULL);

ALTER TABLE jobs ADD COLUMN wave BIGINT;

ALTER TABLE jobs ADD COLUMN timeout BIGINT;

ALTER TABLE jobs ADD COLUMN heard_at BIGINT;

-- The device's answer came after the fleet had given the job up.
ALTER TABLE jobs ADD COLUMN late_at BIGINT;

-- Timeout and the like; JSON.
ALTER TABLE rollouts ADD COLUMN options TEXT;

-- A device never has two jobs at once.
CREATE UNIQUE INDEX jobs_one_open ON jobs (device) WHERE status IN ('QUEUED', 'IN_PROGRESS');
