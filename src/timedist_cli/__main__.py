"""`python -m timedist_cli`: the command `timedist`."""

from timedist_cli import main

main()
