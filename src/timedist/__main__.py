"""`python -m timedist`: the command, on the backend of `KERAS_BACKEND`."""

import sys

from timedist_cli.commands import run

sys.exit(run())
