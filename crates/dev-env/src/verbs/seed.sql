-- Demonstration data: an account and thirty entries of its journal. It may run again and again.
BEGIN;
SET LOCAL search_path = public;

INSERT INTO users (id, email, email_key, hashed_password, name, is_active, is_verified)
VALUES (
    'de300000-0000-4000-8000-000000000001',
    'demo@example.com',
    'demo@example.com',
    -- Of demo-password-1, with the service's own parameters.
    '$argon2id$v=19$m=19456,t=2,p=1$GgLnhxpwIdnmATQehpNBEQ$85ykf43wzv7R9HdrUtKNcJYGbQKK6fwFXUjibWYxejY',
    'Demo',
    true,
    true
)
ON CONFLICT (email_key) DO UPDATE SET hashed_password = excluded.hashed_password, is_active = true;

WITH moments (n, situation, emotions, intensity, notes) AS (
    VALUES
        (1, 'The presentation went better than I had feared, and two colleagues thanked me for it.', '{joy,contentment}'::text[], 0.80, 'Preparing early was worth it.'),
        (2, 'The train was cancelled and I missed the beginning of the meeting.', '{frustration,anxiety}', 0.65, ''),
        (3, 'A long walk along the river in the rain, with nobody else there.', '{contentment}', 0.55, 'No phone for two hours.'),
        (4, 'My sister called to say that she is moving to another city.', '{sadness,surprise}', 0.60, ''),
        (5, 'Somebody took the credit for what I had written.', '{anger,disgust}', 0.75, 'I want to talk about it tomorrow, calmly.'),
        (6, 'I could not fall asleep because of the appointment in the morning.', '{anxiety,fear}', 0.70, ''),
        (7, 'We laughed until we cried over the old photographs.', '{joy}', 0.90, ''),
        (8, 'The results of the check-up are fine.', '{joy,contentment}', 0.70, 'I had worried for weeks.'),
        (9, 'The neighbour drilled holes into the wall all Sunday.', '{anger,frustration}', 0.50, ''),
        (10, 'I tried a new recipe and everybody asked for more.', '{joy,excitement}', 0.60, '')
)
INSERT INTO emotion_entries (id, user_id, situation, emotions, intensity, notes, source, created_at)
SELECT
    md5(format('demo entry %s of round %s', moments.n, round))::uuid,
    users.id,
    moments.situation,
    moments.emotions,
    -- No two rounds are the same.
    least(1, moments.intensity + (round - 2) * 0.05),
    moments.notes,
    'manual',
    now() - make_interval(days => (round - 1) * 10 + moments.n, hours => (moments.n * 5) % 14)
FROM moments
CROSS JOIN generate_series(1, 3) AS round
JOIN users ON users.email_key = 'demo@example.com'
ON CONFLICT (id) DO NOTHING;

COMMIT;

SELECT count(*) FROM emotion_entries JOIN users ON users.id = user_id WHERE email_key = 'demo@example.com';
