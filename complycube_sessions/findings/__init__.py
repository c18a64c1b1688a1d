"""
Explaining the vendor's words and breakdowns in plain words.

Pure functions: no models, no database, no HTTP. They accept input of any shape and raise no errors. The room
may import nothing of the app; the admin pages and the evidence show its results.
"""
