-- What streams say of themselves, each named by the hash of its bytes. One that was published stays: others may hold its name.
CREATE TABLE documents (
    cid     TEXT PRIMARY KEY CHECK (length(cid) BETWEEN 8 AND 128),
    body    BLOB NOT NULL,
    made_at TEXT NOT NULL,
    -- Whether the IPFS node that is set has it.
    handed_on INTEGER NOT NULL DEFAULT 0 CHECK (handed_on IN (0, 1))
) STRICT;
CREATE INDEX documents_kept_here ON documents (made_at) WHERE handed_on = 0;

-- The newest document of each paid stream, and whether the chain has it.
CREATE TABLE stream_records (
    stream_id TEXT PRIMARY KEY REFERENCES streams (id) ON DELETE CASCADE,
    cid       TEXT NOT NULL REFERENCES documents (cid),
    -- `streams.updated_at` when the document was made: where they differ, there is more to tell.
    told      TEXT NOT NULL,
    -- The final block that names it; none yet where it is missing.
    block     INTEGER CHECK (block >= 0)
) STRICT;
CREATE INDEX stream_records_waiting ON stream_records (stream_id) WHERE block IS NULL;
