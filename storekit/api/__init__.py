"""The public objects: stores, scopes, repositories and units of work, sync and async."""
