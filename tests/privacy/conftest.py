from __future__ import annotations

from tests.admin.conftest import sign_in
from tests.reliability.conftest import open_database

__all__ = ["open_database", "sign_in"]
