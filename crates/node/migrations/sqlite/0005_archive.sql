-- What was recorded of streams that are archived, by content ids.
CREATE TABLE stream_recordings (
    stream_id TEXT NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    cid       TEXT NOT NULL CHECK (length(cid) BETWEEN 8 AND 128),
    PRIMARY KEY (stream_id, cid)
) STRICT;
