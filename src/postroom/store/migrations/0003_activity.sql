-- The past: activity of chat platforms, and the totals of closed days.
-- Programs of schema 2 can work beside it.

ALTER TABLE organizations ADD COLUMN activity_secret BLOB;  -- keys the hashes of people, spaces and messages
ALTER TABLE api_keys ADD COLUMN encoding TEXT;  -- of the analytics answers: array or string; null is the server's

-- The names under which activity is kept. A person or a space of one source is never that of another.
CREATE TABLE sources (
    org_id TEXT NOT NULL REFERENCES organizations (id),
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (org_id, number),
    UNIQUE (org_id, name)
) STRICT, WITHOUT ROWID;

-- What the next new person and space are numbered, and how often days were folded.
CREATE TABLE activity_heads (
    org_id TEXT PRIMARY KEY,
    people INTEGER NOT NULL DEFAULT 0,
    spaces INTEGER NOT NULL DEFAULT 0,
    revision INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Keyed hashes, and the numbers that stand for them in the totals; dense, so that bitmaps of them are small.
CREATE TABLE people (
    org_id TEXT NOT NULL,
    id BLOB NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (org_id, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE spaces (
    org_id TEXT NOT NULL,
    id BLOB NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (org_id, id)
) STRICT, WITHOUT ROWID;

-- One message each. Before it is known, a deletion stands in its place, with the day -1.
CREATE TABLE activities (
    org_id TEXT NOT NULL,
    day INTEGER NOT NULL,  -- UTC, since 1970-01-01
    id BLOB NOT NULL,  -- keyed hash of the source and the platform's id
    source INTEGER NOT NULL,
    at INTEGER NOT NULL,
    person INTEGER,
    space INTEGER NOT NULL,
    traits INTEGER NOT NULL,  -- see domain/totals.py
    files INTEGER NOT NULL,
    file_bytes INTEGER NOT NULL,
    files_of_unknown_size INTEGER NOT NULL,
    deleted_at INTEGER,  -- 0 where only that it was deleted is known
    PRIMARY KEY (org_id, day, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX activities_by_id ON activities (org_id, id);

-- What was taken in again, by the day it was sent on.
CREATE TABLE activity_duplicates (
    org_id TEXT NOT NULL,
    day INTEGER NOT NULL,
    source INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (org_id, day, source)
) STRICT, WITHOUT ROWID;

-- Days whose totals are older than their facts. Each writer counts its changes; a fold removes those it saw.
CREATE TABLE dirty_days (
    org_id TEXT NOT NULL,
    day INTEGER NOT NULL,
    writer TEXT NOT NULL,
    changes INTEGER NOT NULL,
    PRIMARY KEY (org_id, day, writer)
) STRICT, WITHOUT ROWID;

-- What a day's facts come to, for each source and part; people and spaces are serialized roaring bitmaps.
CREATE TABLE day_totals (
    org_id TEXT NOT NULL,
    day INTEGER NOT NULL,
    source INTEGER NOT NULL,
    part INTEGER NOT NULL,  -- who sent, and whether it was deleted; see domain/totals.py
    messages INTEGER NOT NULL,
    desktop INTEGER NOT NULL,
    mobile INTEGER NOT NULL,
    other INTEGER NOT NULL,
    video INTEGER NOT NULL,
    audio INTEGER NOT NULL,
    recording INTEGER NOT NULL,
    files INTEGER NOT NULL,
    file_bytes INTEGER NOT NULL,
    files_of_unknown_size INTEGER NOT NULL,
    people BLOB NOT NULL,
    groups BLOB NOT NULL,
    directs BLOB NOT NULL,
    PRIMARY KEY (org_id, day, source, part)
) STRICT;

-- Live sources: platforms that send what happens, as it happens. Many may keep activity under one name.
CREATE TABLE live_sources (
    org_id TEXT NOT NULL REFERENCES organizations (id),
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    secret TEXT NOT NULL,  -- verifies what comes; empty until it is known
    status TEXT NOT NULL,
    salt BLOB NOT NULL,  -- keys the hashes in live_rooms
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (org_id, id)
) STRICT, WITHOUT ROWID;
-- Their events come without a key that would tell the organization.
CREATE UNIQUE INDEX live_sources_by_id ON live_sources (id);

-- When live sources took events in, and under which name; without an end while they do. Kept for good.
CREATE TABLE live_periods (
    org_id TEXT NOT NULL,
    source_id TEXT NOT NULL,
    began_at INTEGER NOT NULL,
    ended_at INTEGER,
    name TEXT NOT NULL,
    PRIMARY KEY (org_id, source_id, began_at)
) STRICT, WITHOUT ROWID;

-- What became of their events, in several rows each, so that writers seldom wait for one another.
CREATE TABLE live_counts (
    org_id TEXT NOT NULL,
    source_id TEXT NOT NULL,
    stripe INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    duplicates INTEGER NOT NULL,
    ignored INTEGER NOT NULL,
    rejected INTEGER NOT NULL,
    last_event_at INTEGER NOT NULL,
    PRIMARY KEY (org_id, source_id, stripe)
) STRICT, WITHOUT ROWID;

-- What was seen of Matrix rooms, to tell which are direct; rooms and people are keyed hashes.
CREATE TABLE live_rooms (
    org_id TEXT NOT NULL,
    source_id TEXT NOT NULL,
    room BLOB NOT NULL,
    people BLOB NOT NULL,
    created INTEGER NOT NULL,
    invited INTEGER NOT NULL,
    PRIMARY KEY (org_id, source_id, room)
) STRICT, WITHOUT ROWID;

-- Imports of exports. What a row says was taken in is there, as it is written in one commit with that.
CREATE TABLE imports (
    org_id TEXT NOT NULL REFERENCES organizations (id),
    id TEXT NOT NULL,
    source TEXT NOT NULL,  -- under which activity is kept that names no other
    platform TEXT NOT NULL,
    fingerprint TEXT NOT NULL,  -- of the export
    runner TEXT NOT NULL,  -- which process may write how far it is
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    records INTEGER NOT NULL,  -- activities and deletions taken in by now
    state TEXT NOT NULL,  -- JSON, see domain/imports.py
    first_day INTEGER,  -- of messages; null as long as it is not finished, or where there are none
    last_day INTEGER,
    PRIMARY KEY (org_id, id)
) STRICT, WITHOUT ROWID;
