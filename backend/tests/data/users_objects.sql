-- What a user may have made on the tables of the Python backend. Roles are those of every PostgreSQL.
CREATE FUNCTION forbidden() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a trigger ran'; END $$;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.updated_at = now(); RETURN NEW; END $$;
CREATE FUNCTION forbidden_event() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'an event trigger ran'; END $$;

CREATE VIEW mood WITH (security_barrier = true) AS SELECT id, source, emotions FROM emotion_entries;
CREATE VIEW "Mood by source" AS SELECT source, count(*) AS n FROM mood GROUP BY 1;
COMMENT ON VIEW mood IS 'it''s mine';
COMMENT ON COLUMN mood.source IS 'of an entry';
GRANT SELECT ON mood TO pg_monitor WITH GRANT OPTION;
GRANT SELECT (n) ON "Mood by source" TO PUBLIC;
ALTER VIEW "Mood by source" OWNER TO pg_read_all_stats;
ALTER VIEW mood ALTER source SET DEFAULT 'manual';
CREATE TRIGGER instead INSTEAD OF INSERT ON mood FOR EACH ROW EXECUTE FUNCTION forbidden();
COMMENT ON TRIGGER instead ON mood IS 'of a view';
CREATE RULE nothing AS ON DELETE TO mood DO INSTEAD NOTHING;
CREATE MATERIALIZED VIEW pictures AS SELECT status, style, count(*) AS n FROM visualizations GROUP BY 1, 2;
CREATE UNIQUE INDEX pictures_key ON pictures (status, style);
COMMENT ON INDEX pictures_key IS 'of a materialized view';
ALTER MATERIALIZED VIEW pictures CLUSTER ON pictures_key;
GRANT SELECT ON pictures TO pg_monitor;
CREATE MATERIALIZED VIEW unfilled AS SELECT unnest(emotions) AS emotion FROM emotion_entries WITH NO DATA;
CREATE STATISTICS kinds ON status, style FROM visualizations;

CREATE TRIGGER of_source BEFORE UPDATE OF source ON emotion_entries FOR EACH ROW WHEN (NEW.source IS NOT NULL) EXECUTE FUNCTION forbidden();
CREATE TRIGGER switched_off BEFORE UPDATE OF emotions ON emotion_entries FOR EACH ROW EXECUTE FUNCTION forbidden();
ALTER TABLE emotion_entries DISABLE TRIGGER switched_off;
CREATE TRIGGER always BEFORE UPDATE ON emotion_entries FOR EACH ROW EXECUTE FUNCTION forbidden();
ALTER TABLE emotion_entries ENABLE ALWAYS TRIGGER always;
CREATE CONSTRAINT TRIGGER deferred AFTER UPDATE ON visualizations DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION forbidden();
CREATE TRIGGER of_statements BEFORE UPDATE ON intake_sessions FOR EACH STATEMENT EXECUTE FUNCTION forbidden();
CREATE TRIGGER updated_at BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER updated_at BEFORE UPDATE ON emotion_entries FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER updated_at BEFORE UPDATE ON visualizations FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER updated_at BEFORE UPDATE ON intake_sessions FOR EACH ROW EXECUTE FUNCTION touch();
CREATE RULE unchanged AS ON UPDATE TO users DO INSTEAD NOTHING;
CREATE RULE unfinished AS ON UPDATE TO visualizations WHERE NEW.status = 'unknown' DO INSTEAD NOTHING;
COMMENT ON RULE unfinished ON visualizations IS 'of a table';

ALTER TABLE emotion_entries ENABLE ROW LEVEL SECURITY;
ALTER TABLE emotion_entries FORCE ROW LEVEL SECURITY;
CREATE POLICY of_source ON emotion_entries AS RESTRICTIVE FOR SELECT TO pg_monitor, pg_read_all_stats USING (source = 'manual');
CREATE POLICY writing ON emotion_entries FOR INSERT WITH CHECK (source <> 'import' AND 'joy' = ANY (emotions));
COMMENT ON POLICY of_source ON emotion_entries IS 'of a policy';

ALTER TABLE emotion_entries ADD COLUMN how_many integer GENERATED ALWAYS AS (cardinality(emotions)) STORED NOT NULL;
COMMENT ON COLUMN emotion_entries.how_many IS 'generated';
GRANT SELECT (how_many) ON emotion_entries TO pg_monitor;
CREATE INDEX by_how_many ON emotion_entries (how_many, intensity);
ALTER TABLE emotion_entries ADD CONSTRAINT not_too_many CHECK (how_many < 100);
CREATE VIEW of_generated AS SELECT how_many FROM emotion_entries;
CREATE FUNCTION how_often(of_user uuid) RETURNS bigint LANGUAGE sql STABLE
    BEGIN ATOMIC SELECT count(*) FROM emotion_entries WHERE source = 'manual' AND user_id = of_user; END;
GRANT EXECUTE ON FUNCTION how_often TO pg_monitor;
CREATE VIEW of_function AS SELECT how_often(id) FROM users;
CREATE PUBLICATION published FOR TABLE emotion_entries (id, source), visualizations WHERE (status = 'completed');

CREATE INDEX ix_mine ON emotion_entries (intensity);
CREATE INDEX ix_emotion_entries_source ON emotion_entries (source) WHERE source = 'manual';
CREATE INDEX ix_users_lower_email ON users (lower(email));
DROP INDEX ix_emotion_entries_created_at;
CREATE INDEX ix_emotion_entries_created_at ON emotion_entries (created_at DESC);
ALTER TABLE emotion_entries ADD CONSTRAINT known_source CHECK (source <> 'nonsense');
ALTER TABLE users ADD CONSTRAINT ix_name UNIQUE (name, id) DEFERRABLE INITIALLY DEFERRED;
COMMENT ON CONSTRAINT ix_name ON users IS 'of a constraint';
ALTER TABLE users ADD CONSTRAINT my_own UNIQUE (email) INCLUDE (name) WITH (fillfactor = 70);
CREATE TABLE members (email varchar(255) REFERENCES users (email) ON UPDATE CASCADE);
CREATE TABLE teams (id uuid PRIMARY KEY);
ALTER TABLE users ADD COLUMN team uuid;
ALTER TABLE users ADD CONSTRAINT users_team_fkey FOREIGN KEY (team) REFERENCES teams ON DELETE RESTRICT NOT VALID;
CREATE TABLE of_rows (x mood DEFAULT ROW(NULL, 'a', '{joy}'));
INSERT INTO of_rows DEFAULT VALUES;
ALTER TABLE users ADD COLUMN seen timestamp DEFAULT '2025-01-02 03:04:05.678';
ALTER TABLE users ADD COLUMN preferences json DEFAULT '{"b": 1, "a": 2}';
ALTER TABLE users ADD COLUMN source varchar(3) DEFAULT 'abc';
ALTER TABLE visualizations ALTER insights SET DEFAULT '{}';

CREATE EVENT TRIGGER forbidden ON ddl_command_end EXECUTE FUNCTION forbidden_event();
ALTER EVENT TRIGGER forbidden ENABLE ALWAYS;
