"""`python -m headstart` is the command line."""

from headstart.cli.main import main

main()
