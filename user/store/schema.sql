-- SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
--
-- schema.sql - what forewarm has learnt, in tables for it and views for you:
--
--   sqlite3 /var/lib/forewarm/forewarm.db 'SELECT * FROM edges_v LIMIT 20'
--
-- Times end in _ns (nanoseconds; first, last, made and saved since 1970), sizes in _bytes, counts in
-- _n. Sums are over all times an edge was taken. application_id is "FWM1"; user_version is the
-- schema's version: a program that does not know it sets the file aside.
--
-- Kept: guesses the newest 100,000, of those nothing was done about 8 a flush at most; scores one a minute, the newest 20,160 (two weeks); ranges those
-- learnt last, of 131,072 cells together (1.5 MiB); images the 256 seen last.
--
-- Version 2 added ranges and edges.flags, version 3 block_scores, version 4 edges.cold_n and cold_sum_ns,
-- version 5 guesses.decision and err: before it only those acted on were kept, version 6 images. The whole of this is run over an older file
-- when it is opened; columns it lacks are added before, see columns_added of sqlite.c.
-- Scores are sums since the file was made; before version 3, since the daemon's start.

CREATE TABLE IF NOT EXISTS meta(
	key TEXT PRIMARY KEY, -- epoch: how often the store was opened; created_ns
	value
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS nodes(
	id INTEGER PRIMARY KEY,
	kind INTEGER NOT NULL, -- 1 block, 2 file, 3 service
	name TEXT NOT NULL,
	flags INTEGER NOT NULL, -- 1 absent, 2 temporary name, 4 pinned, 8 directory
	first_ns INTEGER NOT NULL,
	last_ns INTEGER NOT NULL,
	runs_n INTEGER NOT NULL,
	size_bytes INTEGER NOT NULL,
	dev INTEGER NOT NULL,
	ino INTEGER NOT NULL,
	uid INTEGER NOT NULL,
	UNIQUE(kind, name)
);

CREATE TABLE IF NOT EXISTS edges(
	from_id INTEGER NOT NULL,
	to_id INTEGER NOT NULL,
	kind INTEGER NOT NULL, -- 1 exec, 2 open, 3 connect, 4 listen, 5 below
	count INTEGER NOT NULL,
	runs_n INTEGER NOT NULL,
	fail_n INTEGER NOT NULL,
	errno_last INTEGER NOT NULL,
	first_ns INTEGER NOT NULL,
	last_ns INTEGER NOT NULL,
	latency_sum_ns INTEGER NOT NULL,
	latency_p50_ns INTEGER NOT NULL,
	latency_p99_ns INTEGER NOT NULL,
	lead_sum_ns INTEGER NOT NULL,
	lead_n INTEGER NOT NULL,
	p_last REAL NOT NULL, -- the chance right after run run_last of the block
	run_last INTEGER NOT NULL,
	latency BLOB NOT NULL, -- struct sketch of graph.h: one byte a bin
	-- of the programs run over an exec edge, from their ends; NULL for the others
	use_n INTEGER,
	life_sum_ns INTEGER,
	cpu_sum_ns INTEGER,
	rss_peak_bytes INTEGER,
	read_sum_bytes INTEGER,
	write_sum_bytes INTEGER,
	majflt_sum INTEGER,
	minflt_sum INTEGER,
	flags INTEGER NOT NULL DEFAULT 0, -- 1 opened for writing, 2 only looked up (stat)
	cold_n INTEGER, -- of use_n, those that had to wait for a disk
	cold_sum_ns INTEGER, -- of life_sum_ns, theirs
	PRIMARY KEY(from_id, to_id, kind)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS edges_by_to ON edges(to_id);

-- Which parts of a file a block uses: cells of 64 KiB, see ranges_pack() of user/core/ranges.h.
CREATE TABLE IF NOT EXISTS ranges(
	block_id INTEGER NOT NULL, -- nodes
	file_id INTEGER NOT NULL, -- nodes
	saved_ns INTEGER NOT NULL, -- when they were learnt last
	cells_n INTEGER NOT NULL,
	cells BLOB NOT NULL,
	PRIMARY KEY(block_id, file_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ranges_by_file ON ranges(file_id);
CREATE INDEX IF NOT EXISTS ranges_by_time ON ranges(saved_ns);

-- The state of the model, in its own coding, packed by zstd.
CREATE TABLE IF NOT EXISTS model(
	id INTEGER PRIMARY KEY CHECK(id = 1),
	saved_ns INTEGER NOT NULL,
	state BLOB NOT NULL
);

-- Names in guesses: a guess outlives the node it was about.
CREATE TABLE IF NOT EXISTS words(
	id INTEGER PRIMARY KEY,
	word TEXT NOT NULL UNIQUE
);

-- The prediction table: what was guessed, on what grounds, and what came of it.
CREATE TABLE IF NOT EXISTS guesses(
	epoch INTEGER NOT NULL,
	id INTEGER NOT NULL, -- unique within the epoch
	block_id INTEGER NOT NULL, -- words: what ran
	via_id INTEGER NOT NULL, -- words: what was expected to run next
	dep_id INTEGER NOT NULL, -- words: what was expected to be needed
	kind INTEGER NOT NULL, -- as in edges
	outcome INTEGER NOT NULL, -- 0 open 1 hit 2 late 3 wasted 4 missed 5 resident 6 dropped
	acted INTEGER NOT NULL,
	model_order INTEGER NOT NULL,
	uid INTEGER NOT NULL,
	pid INTEGER NOT NULL,
	p REAL NOT NULL,
	support INTEGER NOT NULL,
	made_ns INTEGER NOT NULL, -- since 1970; those below since made_ns, NULL: not yet
	lead_ns INTEGER NOT NULL,
	deadline_ns INTEGER,
	acted_ns INTEGER,
	done_ns INTEGER,
	ended_ns INTEGER,
	read_bytes INTEGER NOT NULL,
	saved_ns INTEGER NOT NULL,
	value_us REAL NOT NULL,
	price_us REAL NOT NULL,
	-- 0 none 1 waits 2 acted 3 unworthy 4 late 5 untrusted 6 full 7 failed
	decision INTEGER NOT NULL DEFAULT 2,
	err INTEGER NOT NULL DEFAULT 0, -- failed: errno
	PRIMARY KEY(epoch, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS guesses_by_time ON guesses(made_ns);

CREATE TABLE IF NOT EXISTS scores(
	minute INTEGER PRIMARY KEY, -- since 1970; the last score given in it
	guesses_n INTEGER NOT NULL,
	acted_n INTEGER NOT NULL,
	hit_n INTEGER NOT NULL,
	late_n INTEGER NOT NULL,
	wasted_n INTEGER NOT NULL,
	missed_n INTEGER NOT NULL,
	resident_n INTEGER NOT NULL,
	dropped_n INTEGER NOT NULL,
	read_bytes INTEGER NOT NULL,
	wasted_bytes INTEGER NOT NULL,
	saved_ns INTEGER NOT NULL,
	precision REAL NOT NULL,
	recall REAL NOT NULL,
	lambda REAL NOT NULL
);

-- What came of the guesses about the needs of each block, since the file was made.
CREATE TABLE IF NOT EXISTS block_scores(
	block_id INTEGER PRIMARY KEY, -- nodes
	hit_n INTEGER NOT NULL,
	late_n INTEGER NOT NULL,
	wasted_n INTEGER NOT NULL,
	missed_n INTEGER NOT NULL,
	resident_n INTEGER NOT NULL,
	dropped_n INTEGER NOT NULL,
	read_bytes INTEGER NOT NULL,
	wasted_bytes INTEGER NOT NULL,
	saved_ns INTEGER NOT NULL
);

-- Where the layers of container images are on this host, so that they are found while no container lives. Believed
-- only while they add up to the hash in the name.
CREATE TABLE IF NOT EXISTS images(
	name TEXT PRIMARY KEY, -- as before the names of files: image:HASH
	seen_ns INTEGER NOT NULL, -- when a program of it was last seen to start, to the hour
	layers TEXT NOT NULL -- the uppermost first, as lowerdir= of mount(8) has them
) WITHOUT ROWID;

DROP VIEW IF EXISTS nodes_v;
CREATE VIEW nodes_v AS SELECT
	id,
	CASE kind WHEN 1 THEN 'block' WHEN 2 THEN 'file' WHEN 3 THEN 'service' END AS kind,
	name,
	runs_n AS runs,
	size_bytes,
	(flags & 1) != 0 AS absent,
	datetime(first_ns / 1000000000, 'unixepoch') AS first_utc,
	datetime(last_ns / 1000000000, 'unixepoch') AS last_utc,
	uid
FROM nodes;

DROP VIEW IF EXISTS edges_v;
CREATE VIEW edges_v AS SELECT
	f.name AS block,
	CASE e.kind WHEN 1 THEN 'exec' WHEN 2 THEN 'open' WHEN 3 THEN 'connect'
		WHEN 4 THEN 'listen' WHEN 5 THEN 'below' END AS needs,
	t.name AS dependency,
	e.count,
	CASE WHEN f.runs_n > 0 THEN round(min(1.0, 1.0 * e.runs_n / f.runs_n), 3) END AS share_of_runs,
	e.fail_n AS failed,
	CASE WHEN e.count > 0 THEN e.latency_sum_ns / e.count / 1000 END AS latency_mean_us,
	e.latency_p50_ns / 1000 AS latency_p50_us,
	e.latency_p99_ns / 1000 AS latency_p99_us,
	CASE WHEN e.lead_n > 0 THEN round(e.lead_sum_ns / e.lead_n / 1e6, 3) END AS lead_mean_ms,
	CASE WHEN e.use_n > 0 THEN round(e.life_sum_ns / e.use_n / 1e6, 3) END AS run_mean_ms,
	CASE WHEN e.cold_n > 0 THEN round(e.cold_sum_ns / e.cold_n / 1e6, 3) END AS cold_mean_ms,
	CASE WHEN e.use_n > e.cold_n THEN round((e.life_sum_ns - e.cold_sum_ns) / (e.use_n - e.cold_n)
		/ 1e6, 3) END AS warm_mean_ms,
	CASE WHEN e.use_n > 0 THEN round(e.cpu_sum_ns / e.use_n / 1e6, 3) END AS cpu_mean_ms,
	e.rss_peak_bytes / 1024 AS rss_peak_kib,
	CASE WHEN e.use_n > 0 THEN e.read_sum_bytes / e.use_n END AS read_mean_bytes,
	CASE WHEN e.use_n > 0 THEN round(1.0 * e.majflt_sum / e.use_n, 1) END AS major_faults_mean,
	datetime(e.first_ns / 1000000000, 'unixepoch') AS first_utc,
	datetime(e.last_ns / 1000000000, 'unixepoch') AS last_utc
FROM edges e
JOIN nodes f ON f.id = e.from_id
JOIN nodes t ON t.id = e.to_id;

DROP VIEW IF EXISTS block_scores_v;
CREATE VIEW block_scores_v AS SELECT
	n.name AS block,
	s.hit_n AS hit, s.late_n AS late, s.wasted_n AS wasted, s.missed_n AS missed,
	s.resident_n AS resident,
	CASE WHEN s.hit_n + s.wasted_n > 0 THEN round(1.0 * s.hit_n / (s.hit_n + s.wasted_n), 3) END
		AS precision,
	CASE WHEN s.read_bytes > 0 THEN round(1 - 1.0 * s.wasted_bytes / s.read_bytes, 3) END
		AS precision_bytes,
	CASE WHEN s.hit_n + s.late_n + s.missed_n > 0
		THEN round(1.0 * s.hit_n / (s.hit_n + s.late_n + s.missed_n), 3) END AS recall,
	s.read_bytes, s.wasted_bytes,
	round(s.saved_ns / 1e6, 3) AS saved_ms
FROM block_scores s
JOIN nodes n ON n.id = s.block_id;

-- The prediction table: what a block will need in its next run, how likely and how soon. The chance
-- shrinks with each run that did without, by the same rule as in user/core/engine.c (forget).
DROP VIEW IF EXISTS predictions_v;
CREATE VIEW predictions_v AS SELECT
	f.name AS block,
	CASE e.kind WHEN 1 THEN 'exec' WHEN 2 THEN 'open' WHEN 3 THEN 'connect'
		WHEN 5 THEN 'below' END AS needs,
	t.name AS dependency,
	round(e.p_last * pow(1 - max(0.12, 1.0 / (e.runs_n + 1.5)), max(0, CASE WHEN e.flags & 2
		-- what is asked about is told of some runs only, and counted in these
		THEN (SELECT max(l.run_last) FROM edges l WHERE l.from_id = e.from_id AND l.flags & 2)
		ELSE f.runs_n END - e.run_last)), 3)
		AS probability,
	CASE WHEN e.lead_n > 0 THEN round(e.lead_sum_ns / e.lead_n / 1e6, 3) END AS lead_ms,
	e.runs_n AS support
FROM edges e
JOIN nodes f ON f.id = e.from_id
JOIN nodes t ON t.id = e.to_id
WHERE e.kind != 4;

DROP VIEW IF EXISTS guesses_v;
CREATE VIEW guesses_v AS SELECT
	g.epoch,
	g.id,
	datetime(g.made_ns / 1000000000, 'unixepoch') AS made_utc,
	b.word AS block,
	v.word AS via,
	CASE g.kind WHEN 1 THEN 'exec' WHEN 2 THEN 'open' WHEN 3 THEN 'connect'
		WHEN 4 THEN 'listen' WHEN 5 THEN 'below' END AS needs,
	d.word AS dependency,
	round(g.p, 3) AS p,
	g.support,
	CASE g.outcome WHEN 0 THEN 'open' WHEN 1 THEN 'hit' WHEN 2 THEN 'late' WHEN 3 THEN 'wasted'
		WHEN 4 THEN 'missed' WHEN 5 THEN 'resident' WHEN 6 THEN 'dropped' END AS outcome,
	CASE g.decision WHEN 0 THEN 'none' WHEN 1 THEN 'waits' WHEN 2 THEN 'acted' WHEN 3 THEN 'unworthy'
		WHEN 4 THEN 'late' WHEN 5 THEN 'untrusted' WHEN 6 THEN 'full' WHEN 7 THEN 'failed' END
		AS decision,
	round(g.lead_ns / 1e6, 3) AS lead_ms,
	round(g.done_ns / 1e6, 3) AS done_after_ms,
	round(g.ended_ns / 1e6, 3) AS ended_after_ms,
	g.read_bytes,
	round(g.saved_ns / 1e6, 3) AS saved_ms,
	round(g.value_us, 1) AS value_us,
	round(g.price_us, 1) AS price_us,
	g.uid,
	g.pid
FROM guesses g
LEFT JOIN words b ON b.id = g.block_id
LEFT JOIN words v ON v.id = g.via_id
LEFT JOIN words d ON d.id = g.dep_id;
