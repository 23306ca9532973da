//! Journal entries and their emotions.
