//! What every feature needs: errors, the envelope, logs, passwords and tokens.
