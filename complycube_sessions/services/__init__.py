from __future__ import annotations

from complycube_sessions.services.refresh import refresh_session, refresh_sessions

__all__ = ["refresh_session", "refresh_sessions"]
