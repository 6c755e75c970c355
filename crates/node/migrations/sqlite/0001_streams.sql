-- Streams, the broadcasts made of them, and who watched.
CREATE TABLE streams (
    id           TEXT PRIMARY KEY CHECK (length(id) = 36),
    playback_id  TEXT NOT NULL UNIQUE,
    creator_id   TEXT NOT NULL CHECK (length(creator_id) <= 255),
    title        TEXT NOT NULL CHECK (length(title) BETWEEN 1 AND 255),
    description  TEXT NOT NULL DEFAULT '' CHECK (length(description) <= 10000),
    category     TEXT NOT NULL DEFAULT '' CHECK (length(category) <= 100),
    status       TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'live', 'ended', 'archived')),
    stream_key   TEXT NOT NULL UNIQUE,
    viewer_count INTEGER NOT NULL DEFAULT 0 CHECK (viewer_count >= 0),
    total_ticks  INTEGER NOT NULL DEFAULT 0 CHECK (total_ticks >= 0),
    started_at   TEXT,
    ended_at     TEXT,
    created_at   TEXT NOT NULL,
    updated_at   TEXT NOT NULL
) STRICT;

CREATE TABLE stream_sessions (
    id               TEXT PRIMARY KEY CHECK (length(id) = 36),
    stream_id        TEXT NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    sfu_server       TEXT NOT NULL,
    signaling_server TEXT NOT NULL,
    started_at       TEXT NOT NULL,
    ended_at         TEXT,
    recorded         INTEGER NOT NULL DEFAULT 0 CHECK (recorded IN (0, 1))
) STRICT;
CREATE INDEX stream_sessions_by_stream ON stream_sessions (stream_id, started_at);

-- paid_amount is whole smallest units, up to 128 bits: decimal text, since SQLite's integers end at 64.
CREATE TABLE stream_viewers (
    id          TEXT PRIMARY KEY CHECK (length(id) = 36),
    stream_id   TEXT NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    viewer_id   TEXT NOT NULL,
    joined_at   TEXT NOT NULL,
    last_tick   TEXT,
    total_ticks INTEGER NOT NULL DEFAULT 0 CHECK (total_ticks >= 0),
    paid_amount TEXT NOT NULL DEFAULT '0' CHECK (length(paid_amount) BETWEEN 1 AND 39 AND paid_amount NOT GLOB '*[^0-9]*')
) STRICT;
CREATE INDEX stream_viewers_by_stream ON stream_viewers (stream_id, joined_at);
