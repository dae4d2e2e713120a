//! The transaction generator and the replay of recorded files.
