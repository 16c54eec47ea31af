//! What Keelson's daemons and tools share.
