-- Credit accounts stand among the channels: on a chain that locks nothing, what the payer's transfers paid stands for the
-- deposit. Here is what makes them: the payer's own signature, and the last final block whose transfers do not count.
CREATE TABLE credits (
    channel      BLOB PRIMARY KEY REFERENCES channels (id),
    opening      BLOB NOT NULL,
    since_number INTEGER NOT NULL CHECK (since_number >= 0),
    since_hash   BLOB NOT NULL CHECK (length(since_hash) = 32)
) STRICT;

-- Every transfer that was counted, by its place among the transfers of its final block: none is counted twice.
CREATE TABLE transfers (
    block   INTEGER NOT NULL CHECK (block >= 0),
    place   INTEGER NOT NULL CHECK (place >= 0),
    channel BLOB NOT NULL REFERENCES credits (channel),
    amount  TEXT NOT NULL CHECK (length(amount) BETWEEN 1 AND 39 AND amount NOT GLOB '*[^0-9]*' AND amount <> '0'),
    PRIMARY KEY (block, place)
) STRICT;
CREATE INDEX transfers_by_channel ON transfers (channel);
