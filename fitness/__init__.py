"""Is it right, is it fast: gates, the jail they run in, launch plans, targets, and the verdict."""
