-- Who may use the console, and what they did there. Of passwords, sessions and tokens there are
-- hashes only.

CREATE TABLE console_users (
    name TEXT PRIMARY KEY,
    role TEXT NOT NULL,             -- viewer, operator
    password TEXT NOT NULL,         -- scrypt:N:r:p:salt:hash, hex
    created_at BIGINT NOT NULL
);

CREATE TABLE console_sessions (
    hash TEXT PRIMARY KEY,          -- SHA-256 of its id
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);

CREATE TABLE console_tokens (
    hash TEXT PRIMARY KEY,          -- SHA-256 of the token
    name TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT               -- NULL: never
);

-- Every change that was made in the console.
CREATE TABLE console_acts (
    id {id},
    at BIGINT NOT NULL,
    name TEXT NOT NULL,             -- of the user; a token's begins with `token `
    act TEXT NOT NULL,
    what TEXT NOT NULL
);

CREATE INDEX tags_tag ON tags (tag, device);
