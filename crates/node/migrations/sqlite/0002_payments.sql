-- Paying by the second. Amounts are whole smallest units of up to 128 bits: decimal text, since SQLite's integers end at
-- 64. What was signed is kept as the bytes that were signed over, with the signature; ids of 32 bytes are blobs.

-- Whoever has a delegation here may ask for money.
CREATE TABLE creators (
    account     BLOB PRIMARY KEY CHECK (length(account) = 32),
    delegation  BLOB NOT NULL,
    valid_until INTEGER NOT NULL CHECK (valid_until >= 0),
    updated_at  TEXT NOT NULL
) STRICT;

-- What a creator asks for now. A stream with none is free.
CREATE TABLE stream_prices (
    stream_id   TEXT NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    tier        INTEGER NOT NULL CHECK (tier BETWEEN 0 AND 4),
    price       TEXT NOT NULL CHECK (length(price) BETWEEN 1 AND 39 AND price NOT GLOB '*[^0-9]*' AND price <> '0'),
    grace_ticks INTEGER NOT NULL CHECK (grace_ticks BETWEEN 2 AND 60),
    max_lines   INTEGER NOT NULL CHECK (max_lines BETWEEN 1 AND 65535),
    max_kbps    INTEGER NOT NULL CHECK (max_kbps BETWEEN 1 AND 4294967295),
    PRIMARY KEY (stream_id, tier)
) STRICT;

-- Every offer that was ever made, by the hash that vouchers name.
CREATE TABLE offers (
    hash        BLOB PRIMARY KEY CHECK (length(hash) = 32),
    stream_id   TEXT NOT NULL REFERENCES streams (id),
    published   BLOB NOT NULL,
    valid_until INTEGER NOT NULL CHECK (valid_until >= 0),
    made_at     TEXT NOT NULL
) STRICT;
CREATE INDEX offers_by_stream ON offers (stream_id, valid_until);

-- Channels that name this node, as the last final block that was read has them. A retired one was left for another of the
-- same payer and is never taken again: what was paid on it is not in the books any more.
CREATE TABLE channels (
    id      BLOB PRIMARY KEY CHECK (length(id) = 32),
    payer   BLOB NOT NULL CHECK (length(payer) = 32),
    payee   BLOB NOT NULL CHECK (length(payee) = 32),
    state   BLOB NOT NULL,
    phase   TEXT NOT NULL CHECK (phase IN ('absent', 'open', 'closing', 'closed')),
    deposit TEXT NOT NULL CHECK (length(deposit) BETWEEN 1 AND 39 AND deposit NOT GLOB '*[^0-9]*'),
    settled TEXT NOT NULL CHECK (length(settled) BETWEEN 1 AND 39 AND settled NOT GLOB '*[^0-9]*'),
    retired INTEGER NOT NULL DEFAULT 0 CHECK (retired IN (0, 1))
) STRICT;

-- One of each payer at each payee: what must not be forgotten.
CREATE TABLE ledgers (
    payer    BLOB NOT NULL CHECK (length(payer) = 32),
    payee    BLOB NOT NULL CHECK (length(payee) = 32),
    channel  BLOB NOT NULL REFERENCES channels (id),
    record   BLOB NOT NULL,
    accepted TEXT NOT NULL CHECK (length(accepted) BETWEEN 1 AND 39 AND accepted NOT GLOB '*[^0-9]*'),
    PRIMARY KEY (payer, payee)
) STRICT;

-- Those that a receipt confirms, and those since: of the ones between two receipts the later one says it all.
CREATE TABLE vouchers (
    channel    BLOB NOT NULL REFERENCES channels (id),
    tick       INTEGER NOT NULL CHECK (tick >= 0),
    cumulative TEXT NOT NULL CHECK (length(cumulative) BETWEEN 1 AND 39 AND cumulative NOT GLOB '*[^0-9]*'),
    offer      BLOB NOT NULL REFERENCES offers (hash),
    signed     BLOB NOT NULL,
    PRIMARY KEY (channel, tick)
) STRICT;

CREATE TABLE receipts (
    channel    BLOB NOT NULL REFERENCES channels (id),
    number     INTEGER NOT NULL CHECK (number >= 1),
    tick       INTEGER NOT NULL CHECK (tick >= 0),
    cumulative TEXT NOT NULL CHECK (length(cumulative) BETWEEN 1 AND 39 AND cumulative NOT GLOB '*[^0-9]*'),
    signed     BLOB NOT NULL,
    PRIMARY KEY (channel, number)
) STRICT;

-- What was to go on chain: written before it is sent, so that a restart knows what may have been sent.
CREATE TABLE settlements (
    id          INTEGER PRIMARY KEY,
    channel     BLOB NOT NULL REFERENCES channels (id),
    kind        TEXT NOT NULL CHECK (kind IN ('settle', 'close')),
    cumulative  TEXT NOT NULL CHECK (length(cumulative) BETWEEN 1 AND 39 AND cumulative NOT GLOB '*[^0-9]*'),
    reason      TEXT NOT NULL,
    state       TEXT NOT NULL DEFAULT 'intended' CHECK (state IN ('intended', 'doubtful', 'final', 'failed')),
    -- Of the transaction, which may carry many.
    tx          BLOB CHECK (tx IS NULL OR length(tx) = 32),
    block       INTEGER,
    fee         TEXT CHECK (fee IS NULL OR (length(fee) BETWEEN 1 AND 39 AND fee NOT GLOB '*[^0-9]*')),
    error       TEXT,
    intended_at TEXT NOT NULL,
    ended_at    TEXT
) STRICT;
CREATE INDEX settlements_open ON settlements (state) WHERE state IN ('intended', 'doubtful');
CREATE INDEX settlements_by_channel ON settlements (channel);

-- The last final block whose events are in `channels`.
CREATE TABLE chain_cursor (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    genesis BLOB NOT NULL CHECK (length(genesis) = 32),
    number  INTEGER NOT NULL CHECK (number >= 0),
    hash    BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- Every act that moves money or needs a right. Each row's hash covers the one before it.
CREATE TABLE pay_audit_log (
    seq    INTEGER PRIMARY KEY CHECK (seq >= 1),
    at     INTEGER NOT NULL CHECK (at >= 0),
    act    TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash   BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE TRIGGER pay_audit_log_is_not_changed BEFORE UPDATE ON pay_audit_log
BEGIN
    SELECT RAISE(ABORT, 'the audit log is only written to');
END;
CREATE TRIGGER pay_audit_log_is_not_cut BEFORE DELETE ON pay_audit_log
BEGIN
    SELECT RAISE(ABORT, 'the audit log is only written to');
END;
