"""lavalink_sync: the synchronous, threaded client for Lavalink v4."""
