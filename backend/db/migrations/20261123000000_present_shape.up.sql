-- From the Python backend's tables to ours. Every row stays, and every value that is not named here stays to the byte.

-- Its version of a column's type may differ from ours: times without a zone (they are UTC), enumerations, json.
DO $$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT table_name AS t, column_name AS n, data_type AS type, column_default AS preset
        FROM information_schema.columns
        WHERE table_schema = current_schema()
          AND table_name IN ('users', 'intake_sessions', 'emotion_entries', 'visualizations')
    LOOP
        IF c.type = 'timestamp without time zone' THEN
            EXECUTE format('ALTER TABLE %I ALTER %I DROP DEFAULT, ALTER %I TYPE timestamptz USING %I AT TIME ZONE ''UTC''', c.t, c.n, c.n, c.n);
        ELSIF c.type = 'json' THEN
            EXECUTE format('ALTER TABLE %I ALTER %I DROP DEFAULT, ALTER %I TYPE jsonb USING %I::jsonb', c.t, c.n, c.n, c.n);
        ELSIF c.n IN ('source', 'status', 'style') THEN
            EXECUTE format('ALTER TABLE %I ALTER %I DROP DEFAULT, ALTER %I TYPE text USING %I::text', c.t, c.n, c.n, c.n);
        ELSIF c.n IN ('emotions', 'insights') THEN
            EXECUTE format('ALTER TABLE %I ALTER %I DROP DEFAULT, ALTER %I TYPE text[] USING %I::text[]', c.t, c.n, c.n, c.n);
        END IF;
    END LOOP;
END
$$;

-- Its indexes and foreign keys make room for ours.
DO $$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT conrelid::regclass AS t, conname AS n
        FROM pg_constraint
        WHERE contype IN ('f', 'u')
          AND conrelid IN ('users'::regclass, 'intake_sessions'::regclass, 'emotion_entries'::regclass, 'visualizations'::regclass)
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.t, c.n);
    END LOOP;
    FOR c IN
        SELECT indexname AS n
        FROM pg_indexes
        WHERE schemaname = current_schema()
          AND tablename IN ('users', 'intake_sessions', 'emotion_entries', 'visualizations')
          AND indexname LIKE 'ix\_%'
    LOOP
        EXECUTE format('DROP INDEX %I', c.n);
    END LOOP;
END
$$;

-- A time of creation that is not known is the time of the last change, else now.
UPDATE users SET created_at = coalesce(updated_at, now()) WHERE created_at IS NULL;
UPDATE intake_sessions SET created_at = coalesce(updated_at, now()) WHERE created_at IS NULL;
UPDATE emotion_entries SET created_at = coalesce(updated_at, now()) WHERE created_at IS NULL;
UPDATE visualizations SET created_at = coalesce(updated_at, now()) WHERE created_at IS NULL;

-- Of accounts whose addresses differ in case alone, all keep their spelling, and the youngest has the address as its key.
-- The others' key can be no address. COLLATE "C": only ASCII letters have a case here, in each database alike.
ALTER TABLE users ADD COLUMN email_key text;
UPDATE users
SET email_key = CASE WHEN ranked.place = 1 THEN lower(users.email COLLATE "C") ELSE users.id::text END
FROM (
    SELECT id, row_number() OVER (PARTITION BY lower(email COLLATE "C") ORDER BY created_at DESC, id) AS place FROM users
) AS ranked
WHERE ranked.id = users.id;

ALTER TABLE users
    ALTER id SET DEFAULT gen_random_uuid(),
    ALTER email_key SET NOT NULL,
    ALTER is_active SET DEFAULT true,
    ALTER is_verified SET DEFAULT false,
    ALTER created_at SET DEFAULT now(),
    ALTER created_at SET NOT NULL,
    -- A token carries the generation that it was issued in; a new password begins the next one.
    ADD COLUMN token_generation integer NOT NULL DEFAULT 0,
    ADD CONSTRAINT users_email_unique UNIQUE (email),
    ADD CONSTRAINT users_email_key_unique UNIQUE (email_key);

ALTER TABLE intake_sessions
    ALTER id SET DEFAULT gen_random_uuid(),
    ALTER conversation_history SET DEFAULT '[]',
    ALTER current_step SET DEFAULT 0,
    ALTER is_complete SET DEFAULT false,
    ALTER created_at SET DEFAULT now(),
    ALTER created_at SET NOT NULL,
    ADD CONSTRAINT intake_sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE;

-- Rows that today's rules would refuse are kept, and marked, so that the rules hold for all others and these can still be edited.
ALTER TABLE emotion_entries ADD COLUMN adopted_as_is boolean NOT NULL DEFAULT false;
UPDATE emotion_entries
SET adopted_as_is = true
WHERE NOT (
    intensity BETWEEN 0 AND 1
    AND cardinality(emotions) BETWEEN 1 AND 10
    AND char_length(situation) BETWEEN 1 AND 5000
    AND char_length(coalesce(notes, '')) <= 10000
    AND coalesce(source, '') IN ('manual', 'intake_flow', 'import')
);

ALTER TABLE emotion_entries
    ALTER id SET DEFAULT gen_random_uuid(),
    ALTER notes SET DEFAULT '',
    ALTER source SET DEFAULT 'manual',
    ALTER created_at SET DEFAULT now(),
    ALTER created_at SET NOT NULL,
    ADD CONSTRAINT emotion_entries_user_id_fkey FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE,
    ADD CONSTRAINT emotion_entries_intake_session_id_fkey FOREIGN KEY (intake_session_id) REFERENCES intake_sessions ON DELETE SET NULL,
    ADD CONSTRAINT emotion_entries_rules CHECK (
        adopted_as_is
        OR (
            intensity BETWEEN 0 AND 1
            AND cardinality(emotions) BETWEEN 1 AND 10
            AND char_length(situation) BETWEEN 1 AND 5000
            AND char_length(coalesce(notes, '')) <= 10000
            AND coalesce(source, '') IN ('manual', 'intake_flow', 'import')
        )
    );

ALTER TABLE visualizations ADD COLUMN adopted_as_is boolean NOT NULL DEFAULT false;
UPDATE visualizations
SET adopted_as_is = true
WHERE NOT (status IN ('pending', 'processing', 'completed', 'failed') AND style IN ('abstract', 'diagram', 'metaphor'));

ALTER TABLE visualizations
    ALTER id SET DEFAULT gen_random_uuid(),
    ALTER status SET DEFAULT 'pending',
    ALTER created_at SET DEFAULT now(),
    ALTER created_at SET NOT NULL,
    ADD CONSTRAINT visualizations_entry_id_unique UNIQUE (entry_id),
    ADD CONSTRAINT visualizations_entry_id_fkey FOREIGN KEY (entry_id) REFERENCES emotion_entries ON DELETE CASCADE,
    ADD CONSTRAINT visualizations_user_id_fkey FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE,
    ADD CONSTRAINT visualizations_rules CHECK (
        adopted_as_is
        OR (status IN ('pending', 'processing', 'completed', 'failed') AND style IN ('abstract', 'diagram', 'metaphor'))
    );

-- How many entries a user has, which each page of the list says: equal keys share their place, so a thousand take one page.
CREATE INDEX emotion_entries_by_user ON emotion_entries (user_id);
-- A user's entries in each order of the list; the last change of a row that never changed is its creation.
CREATE INDEX emotion_entries_by_creation ON emotion_entries (user_id, created_at, id);
CREATE INDEX emotion_entries_by_intensity ON emotion_entries (user_id, intensity, id);
CREATE INDEX emotion_entries_by_change ON emotion_entries (user_id, (coalesce(updated_at, created_at)), id);
CREATE INDEX emotion_entries_emotions ON emotion_entries USING gin (emotions);
CREATE INDEX emotion_entries_intake_session ON emotion_entries (intake_session_id) WHERE intake_session_id IS NOT NULL;
CREATE INDEX visualizations_by_status ON visualizations (user_id, status, created_at);
CREATE INDEX intake_sessions_unfinished ON intake_sessions (user_id, created_at) WHERE NOT is_complete;
CREATE INDEX intake_sessions_user ON intake_sessions (user_id);
