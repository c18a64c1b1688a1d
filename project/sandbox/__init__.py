"""A stand-in for the ComplyCube API. It knows the vendor's facts and nothing of ``complycube_sessions``."""

from __future__ import annotations

from typing import Final

# The one key that the sandbox accepts. It opens nothing but invented data, so it is no secret.
API_KEY: Final = "test_sandbox_0000000000000000000000000000"
