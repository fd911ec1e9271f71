"""`python -m timedist`: the command, on the backend of `KERAS_BACKEND`."""

import sys

from timedist.forecasting.cli import run

sys.exit(run())
