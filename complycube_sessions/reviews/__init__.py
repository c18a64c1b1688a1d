"""
Case work: opening and reopening reviews, and what people do on them.

Whoever writes a review about what a session holds, or opens it again, locks the session's row first, as the
store does. It may import ``models``, ``db``, ``signals``, ``conf``, ``exceptions`` and ``wording``.
"""
