-- Back to the Python backend's tables, which it can use again. Rows and values stay, and so do the types that hold more.
DROP INDEX emotion_entries_by_user, emotion_entries_by_creation, emotion_entries_by_intensity, emotion_entries_by_change, emotion_entries_emotions,
    emotion_entries_intake_session, visualizations_by_status, intake_sessions_unfinished, intake_sessions_user;

ALTER TABLE visualizations
    DROP CONSTRAINT visualizations_rules,
    DROP CONSTRAINT visualizations_entry_id_unique,
    DROP COLUMN adopted_as_is,
    ALTER id DROP DEFAULT,
    ALTER status DROP DEFAULT,
    ALTER created_at DROP NOT NULL,
    ALTER created_at DROP DEFAULT;
CREATE UNIQUE INDEX ix_visualizations_entry_id ON visualizations (entry_id);

ALTER TABLE emotion_entries
    DROP CONSTRAINT emotion_entries_rules,
    DROP COLUMN adopted_as_is,
    ALTER id DROP DEFAULT,
    ALTER notes DROP DEFAULT,
    ALTER source DROP DEFAULT,
    ALTER created_at DROP NOT NULL,
    ALTER created_at DROP DEFAULT,
    ALTER emotions TYPE varchar[];

ALTER TABLE intake_sessions
    ALTER id DROP DEFAULT,
    ALTER conversation_history DROP DEFAULT,
    ALTER current_step DROP DEFAULT,
    ALTER is_complete DROP DEFAULT,
    ALTER created_at DROP NOT NULL,
    ALTER created_at DROP DEFAULT;

ALTER TABLE users
    DROP CONSTRAINT users_email_key_unique,
    DROP CONSTRAINT users_email_unique,
    DROP COLUMN email_key,
    DROP COLUMN token_generation,
    ALTER id DROP DEFAULT,
    ALTER is_active DROP DEFAULT,
    ALTER is_verified DROP DEFAULT,
    ALTER created_at DROP NOT NULL,
    ALTER created_at DROP DEFAULT;
CREATE UNIQUE INDEX ix_users_email ON users (email);
