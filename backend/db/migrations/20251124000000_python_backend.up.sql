-- The four tables as the Python backend's Alembic revision 00d62578dab9 made them, so that its databases and new ones go the
-- same way from here on. In one of its databases they are there already and nothing happens.
CREATE TABLE IF NOT EXISTS users (
    id uuid PRIMARY KEY,
    email varchar(255) NOT NULL,
    hashed_password varchar(255) NOT NULL,
    name varchar(255) NOT NULL,
    is_active boolean NOT NULL,
    is_verified boolean NOT NULL,
    created_at timestamptz,
    updated_at timestamptz,
    last_login_at timestamptz
);
CREATE UNIQUE INDEX IF NOT EXISTS ix_users_email ON users (email);

CREATE TABLE IF NOT EXISTS intake_sessions (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    initial_situation text NOT NULL,
    conversation_history jsonb NOT NULL,
    current_step integer NOT NULL,
    is_complete boolean NOT NULL,
    ai_context jsonb,
    final_summary text,
    created_at timestamptz,
    updated_at timestamptz,
    completed_at timestamptz
);

CREATE TABLE IF NOT EXISTS emotion_entries (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    situation text NOT NULL,
    emotions varchar[] NOT NULL,
    intensity numeric(3, 2) NOT NULL,
    notes text,
    source varchar(50),
    intake_session_id uuid REFERENCES intake_sessions (id) ON DELETE SET NULL,
    created_at timestamptz,
    updated_at timestamptz
);

CREATE TABLE IF NOT EXISTS visualizations (
    id uuid PRIMARY KEY,
    entry_id uuid NOT NULL REFERENCES emotion_entries (id) ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    status varchar(50) NOT NULL,
    style varchar(50) NOT NULL,
    image_url text,
    thumbnail_url text,
    summary text,
    insights text[],
    visual_elements jsonb,
    error_message text,
    gemini_analysis jsonb,
    nanobanana_response jsonb,
    processing_started_at timestamptz,
    processing_completed_at timestamptz,
    created_at timestamptz,
    updated_at timestamptz
);
CREATE UNIQUE INDEX IF NOT EXISTS ix_visualizations_entry_id ON visualizations (entry_id);
