"""Times are taken by this file in a real checkout."""
