"""The pure part: load → validate → resolve → elect → plan → render → pack; see ARCHITECTURE.md."""
