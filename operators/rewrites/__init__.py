"""Rules that change the structure of a Triton program: each finds where it applies and edits libcst's tree."""
