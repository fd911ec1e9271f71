"""The error a user can mend: bad data, a bad option, a bad model directory."""


class ForecastingError(ValueError):
    """One line that says what was wrong, where, and what was expected."""
