"""Forecasting data frames: `Forecaster`, backtests, reports and the command."""

from timedist.forecasting.errors import ForecastingError
from timedist.forecasting.forecaster import Forecaster

__all__ = ["Forecaster", "ForecastingError"]
