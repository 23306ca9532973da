-- Tokens that were logged out, until they would have expired.
CREATE TABLE revoked_tokens (
    jti uuid PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
CREATE INDEX revoked_tokens_by_expiry ON revoked_tokens (expires_at);

-- What all replicas together have admitted, a row per subject and window. A crash may lose it: the windows are short.
CREATE UNLOGGED TABLE rate_limits (
    subject text NOT NULL,
    period integer NOT NULL,
    window_start timestamptz NOT NULL,
    count integer NOT NULL,
    PRIMARY KEY (subject, period, window_start)
);
CREATE INDEX rate_limits_by_window ON rate_limits (window_start);
