-- What passes by, how long a slot was on show, and what the slots hold.

ALTER TABLE slots ADD COLUMN shown BIGINT;      -- percent of the window; NULL: not told

ALTER TABLE slots ADD COLUMN passing BIGINT;

-- The catalogue, as it was imported last.
CREATE TABLE contents (
    slot BIGINT NOT NULL,
    from_at BIGINT NOT NULL,        -- 0: since ever
    until_at BIGINT NOT NULL,       -- not included; 253402300800: from then on
    name TEXT NOT NULL,
    campaign TEXT,
    PRIMARY KEY (slot, from_at)
);

CREATE VIEW content_slots AS
SELECT slots.*, COALESCE(contents.name, 'slot ' || CAST(slots.slot AS TEXT)) AS content,
    contents.campaign AS campaign
FROM slots LEFT JOIN contents ON contents.slot = slots.slot
    AND slots.at >= contents.from_at AND slots.at < contents.until_at;

-- Proof of play: seconds on show while the camera worked, by device, day (UTC) and slot.
CREATE VIEW content_played AS
SELECT device, at - at % 86400 AS day, slot, content, campaign, COUNT(*) AS windows,
    SUM(shown * length) / 100 AS seconds
FROM content_slots
GROUP BY device, at - at % 86400, slot, content, campaign;
