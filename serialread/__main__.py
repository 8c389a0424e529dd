"""Run the command line: ``python -m serialread``."""

from serialread.cli import main

main()
