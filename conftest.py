"""What a project that tests its bot writes here: the fixtures of `lavalink_sync.testing`, for the example's tests."""

from __future__ import annotations

pytest_plugins = ["lavalink_sync.testing", "pytester"]
