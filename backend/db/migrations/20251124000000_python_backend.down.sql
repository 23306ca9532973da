DROP TABLE visualizations, emotion_entries, intake_sessions, users;
DROP TABLE IF EXISTS alembic_version;
