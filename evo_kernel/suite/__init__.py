"""Runs of many tasks of one suite, and what is said of a suite: loaded, checked, searched, judged by both rules."""
