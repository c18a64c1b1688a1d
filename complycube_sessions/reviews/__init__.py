"""
Case work: opening and reopening reviews, and the actions of people on them.

Code that opens, decides or reopens a review locks the session's row first, as ``mirror/write.py`` does. The room
may import ``models``, ``db``, ``signals``, ``conf``, ``exceptions`` and ``wording``.
"""
