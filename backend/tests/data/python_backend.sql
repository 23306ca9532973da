-- A dump of the Python backend's shape (SQLAlchemy, Alembic revision 00d62578dab9), with rows that today's rules would refuse.
SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);

CREATE TABLE public.alembic_version (version_num character varying(32) NOT NULL);

CREATE TABLE public.users (
    id uuid NOT NULL,
    email character varying(255) NOT NULL,
    hashed_password character varying(255) NOT NULL,
    name character varying(255) NOT NULL,
    is_active boolean NOT NULL,
    is_verified boolean NOT NULL,
    created_at timestamp with time zone DEFAULT now(),
    updated_at timestamp with time zone,
    last_login_at timestamp with time zone
);

CREATE TABLE public.intake_sessions (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    initial_situation text NOT NULL,
    conversation_history jsonb NOT NULL,
    current_step integer NOT NULL,
    is_complete boolean NOT NULL,
    ai_context jsonb,
    final_summary text,
    created_at timestamp with time zone DEFAULT now(),
    updated_at timestamp with time zone,
    completed_at timestamp with time zone
);

CREATE TABLE public.emotion_entries (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    situation text NOT NULL,
    emotions character varying[] NOT NULL,
    intensity numeric(3,2) NOT NULL,
    notes text,
    source character varying(50),
    intake_session_id uuid,
    created_at timestamp with time zone DEFAULT now(),
    updated_at timestamp with time zone
);

CREATE TABLE public.visualizations (
    id uuid NOT NULL,
    entry_id uuid NOT NULL,
    user_id uuid NOT NULL,
    status character varying(50) NOT NULL,
    style character varying(50) NOT NULL,
    image_url text,
    thumbnail_url text,
    summary text,
    insights text[],
    visual_elements jsonb,
    error_message text,
    gemini_analysis jsonb,
    nanobanana_response jsonb,
    processing_started_at timestamp with time zone,
    processing_completed_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now(),
    updated_at timestamp with time zone
);

COPY public.alembic_version (version_num) FROM stdin;
00d62578dab9
\.

-- The passwords: "correct horse 1" for ann and both spellings of bob, whose addresses differ in case alone.
COPY public.users (id, email, hashed_password, name, is_active, is_verified, created_at, updated_at, last_login_at) FROM stdin;
00000000-0000-4000-8000-000000000001	ann@example.com	$2b$08$43bkEEOt8ROoHIT0aGxdRuM09ngRGVDKdrIwk6EGCvzzUXOHqZysW	Ann	t	f	2025-11-24 12:00:00.123456+00	\N	\N
00000000-0000-4000-8000-000000000002	Bob@Example.com	$2b$08$43bkEEOt8ROoHIT0aGxdRuM09ngRGVDKdrIwk6EGCvzzUXOHqZysW	Bob the older	t	t	2025-11-24 12:00:01+00	2025-11-25 00:00:00+00	2025-11-26 00:00:00+00
00000000-0000-4000-8000-000000000003	bob@example.com	$2b$08$43bkEEOt8ROoHIT0aGxdRuM09ngRGVDKdrIwk6EGCvzzUXOHqZysW	Bob the younger	t	f	2025-11-24 12:00:02+00	\N	\N
00000000-0000-4000-8000-000000000004	Zoë@Example.com	$2b$08$43bkEEOt8ROoHIT0aGxdRuM09ngRGVDKdrIwk6EGCvzzUXOHqZysW	Zoë	f	f	\N	2025-11-27 08:00:00+00	\N
00000000-0000-4000-8000-000000000005	undated@example.com	$2b$08$43bkEEOt8ROoHIT0aGxdRuM09ngRGVDKdrIwk6EGCvzzUXOHqZysW	Undated	t	f	\N	\N	\N
\.

COPY public.intake_sessions (id, user_id, initial_situation, conversation_history, current_step, is_complete, ai_context, final_summary, created_at, updated_at, completed_at) FROM stdin;
00000000-0000-4000-8000-0000000000a1	00000000-0000-4000-8000-000000000001	A talk with my manager	[{"role": "user", "text": "tab\\\\t and \\"quotes\\""}]	2	f	\N	\N	2025-11-24 12:10:00+00	\N	\N
\.

COPY public.emotion_entries (id, user_id, situation, emotions, intensity, notes, source, intake_session_id, created_at, updated_at) FROM stdin;
00000000-0000-4000-8000-0000000000b1	00000000-0000-4000-8000-000000000001	Ordinary, with two lines\nand 🌧 rain	{joy,anxiety}	0.80	\N	manual	\N	2025-11-24 13:00:00.5+00	\N
00000000-0000-4000-8000-0000000000b2	00000000-0000-4000-8000-000000000001	No emotion at all	{}	0.00		manual	\N	2025-11-24 13:00:01+00	2025-11-24 14:00:00+00
00000000-0000-4000-8000-0000000000b3	00000000-0000-4000-8000-000000000001	Too intense	{anger}	7.50	by the old scale	intake_flow	00000000-0000-4000-8000-0000000000a1	\N	2025-11-24 15:00:00+00
00000000-0000-4000-8000-0000000000b4	00000000-0000-4000-8000-000000000001	An emotion nobody knows	{saudade,"with space"}	1.00	x	\N	\N	\N	\N
00000000-0000-4000-8000-0000000000b5	00000000-0000-4000-8000-000000000003		{fear}	0.10	empty situation	import	\N	2025-11-24 13:00:02+00	\N
\.

COPY public.visualizations (id, entry_id, user_id, status, style, image_url, thumbnail_url, summary, insights, visual_elements, error_message, gemini_analysis, nanobanana_response, processing_started_at, processing_completed_at, created_at, updated_at) FROM stdin;
00000000-0000-4000-8000-0000000000c1	00000000-0000-4000-8000-0000000000b1	00000000-0000-4000-8000-000000000001	completed	abstract	https://images.example/c1.png	https://images.example/c1t.png	Rain and joy	{"one, with comma","two"}	[{"type": "shape"}]	\N	{"z": 1, "a": 2}	\N	2025-11-24 13:00:01+00	2025-11-24 13:00:09+00	2025-11-24 13:00:00+00	\N
00000000-0000-4000-8000-0000000000c2	00000000-0000-4000-8000-0000000000b2	00000000-0000-4000-8000-000000000001	queued	cubist	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N
\.

ALTER TABLE ONLY public.alembic_version ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.users ADD CONSTRAINT users_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.intake_sessions ADD CONSTRAINT intake_sessions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.emotion_entries ADD CONSTRAINT emotion_entries_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.visualizations ADD CONSTRAINT visualizations_pkey PRIMARY KEY (id);
CREATE UNIQUE INDEX ix_users_email ON public.users USING btree (email);
CREATE INDEX ix_emotion_entries_user_id ON public.emotion_entries USING btree (user_id);
CREATE INDEX ix_emotion_entries_created_at ON public.emotion_entries USING btree (created_at);
CREATE UNIQUE INDEX ix_visualizations_entry_id ON public.visualizations USING btree (entry_id);
CREATE INDEX ix_visualizations_user_id ON public.visualizations USING btree (user_id);
CREATE INDEX ix_visualizations_status ON public.visualizations USING btree (status);
CREATE INDEX ix_intake_sessions_user_id ON public.intake_sessions USING btree (user_id);
ALTER TABLE ONLY public.intake_sessions ADD CONSTRAINT intake_sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.emotion_entries ADD CONSTRAINT emotion_entries_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.emotion_entries ADD CONSTRAINT emotion_entries_intake_session_id_fkey FOREIGN KEY (intake_session_id) REFERENCES public.intake_sessions(id) ON DELETE SET NULL;
ALTER TABLE ONLY public.visualizations ADD CONSTRAINT visualizations_entry_id_fkey FOREIGN KEY (entry_id) REFERENCES public.emotion_entries(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.visualizations ADD CONSTRAINT visualizations_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;
