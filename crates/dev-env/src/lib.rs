//! The development environment as a library: engines, PostgreSQL, processes, logs; no terminal in it.
