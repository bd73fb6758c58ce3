"""Runs the command line as `python -m evo_kernel`."""

from evo_kernel.cli import main

main()
