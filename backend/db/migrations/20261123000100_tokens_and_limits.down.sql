DROP TABLE rate_limits, revoked_tokens;
