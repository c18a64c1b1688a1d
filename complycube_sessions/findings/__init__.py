"""
What the vendor's words and breakdowns say, in plain words.

Pure functions: no model, no database, no HTTP. Nothing here trusts the shape of what it reads, and nothing
raises an error. It may import nothing of the app; the admin pages and the evidence show what it returns.
"""
