"""The step of a series: from time stamps to positions and back, its seasons and features."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from timedist.forecasting.errors import ForecastingError

Array = np.ndarray

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_MONTHS = {"mo": 1, "q": 3, "y": 12}
_ALIASES = {
    **{"min": "m", "t": "m", "hour": "h", "day": "d", "week": "w"},
    **{"ms": "mo", "me": "mo", "month": "mo", "qs": "q", "qe": "q", "ys": "y", "ye": "y"},
}
_EPOCH = np.datetime64("1970-01-05T00:00:00", "s")  # a Monday


@dataclass(frozen=True)
class Frequency:
    """A fixed number of seconds, or of calendar months.

    Attributes:
        name: as the user writes it, e.g. `"1h"`, `"15m"`, `"1d"`, `"1w"`, `"1mo"`.
        seconds: length of a step, 0 if it is counted in months.
        months: length of a step in months, else 0.
    """

    name: str
    seconds: int
    months: int

    @classmethod
    def parse(cls, text: str) -> Frequency:
        """Read `"1h"`, `"h"`, `"15min"`, `"D"`, `"MS"`, `"1mo"` and the like.

        Args:
            text: a number (default 1) and a unit: s, m, h, d, w, mo, q, y, or pandas's aliases.

        Returns:
            The frequency.

        Raises:
            ForecastingError: if the text is no frequency.
        """
        match = re.fullmatch(r"(\d*)\s*([A-Za-z]+)", text.strip())
        number = int(match[1] or 1) if match else 0
        unit = match[2] if match else ""
        # pandas writes months with a capital, minutes in small letters.
        unit = "mo" if unit == "M" else _ALIASES.get(unit.lower(), unit.lower())
        if number < 1 or unit not in {**_UNITS, **_MONTHS}:
            raise ForecastingError(
                f"frequency {text!r} is not understood; write a number and one of s, m, h, d, w, "
                "mo, q, y, e.g. 1h, 15m, 1d, 1mo"
            )
        return cls(f"{number}{unit}", number * _UNITS.get(unit, 0), number * _MONTHS.get(unit, 0))

    @classmethod
    def infer(cls, stamps: Array, breaks: Array) -> Frequency:
        """The most common step of sorted time stamps.

        Args:
            stamps: `datetime64[s]`, the stamps of all series one after the other, each sorted.
            breaks: boolean, whether a stamp begins a series.

        Returns:
            The frequency.

        Raises:
            ForecastingError: if there are too few stamps.
        """
        steps = np.diff(stamps).astype("int64")[~breaks[1:]]
        if not len(steps):
            raise ForecastingError(
                "the frequency cannot be told from one row a series; give it, e.g. --freq 1h"
            )
        values, counts = np.unique(steps, return_counts=True)
        step = int(values[np.argmax(counts)])
        for months, days in ((1, (28, 31)), (3, (89, 92)), (12, (365, 366))):
            if days[0] * 86400 <= step <= days[1] * 86400:
                return cls.parse({1: "1mo", 3: "1q", 12: "1y"}[months])
        for unit in ("w", "d", "h", "m", "s"):
            if step % _UNITS[unit] == 0:
                return cls.parse(f"{step // _UNITS[unit]}{unit}")
        raise AssertionError("every whole number of seconds is a number of seconds")

    def origin(self, stamps: Array) -> np.datetime64:
        """The first stamp; for ends of months, a stamp before it in a month of enough days.

        Counted from the 28th of February, the 31st of March would be off the grid.

        Args:
            stamps: `datetime64[s]`, not empty.

        Returns:
            A stamp to count positions from.
        """
        first = stamps.min()
        month = first.astype("datetime64[M]")
        at_end = (first + np.timedelta64(1, "D")).astype("datetime64[M]") != month
        if not self.months or not at_end:
            return first
        latest = (stamps - stamps.astype("datetime64[M]")).max()
        while (month + latest).astype("datetime64[M]") != month:
            month -= np.timedelta64(self.months, "M")
        return month + latest

    def positions(self, stamps: Array, origin: np.datetime64) -> tuple[Array, Array]:
        """Steps since the origin, and whether each stamp is on the grid through it.

        Args:
            stamps: `datetime64[s]`.
            origin: `datetime64[s]`, a stamp on the grid.

        Returns:
            An int and a boolean array.
        """
        if self.seconds:
            step, rest = np.divmod((stamps - origin).astype("int64"), self.seconds)
            return step, rest == 0
        months = (stamps.astype("datetime64[M]") - origin.astype("datetime64[M]")).astype("int64")
        step = months // self.months
        return step, self.stamps(step, origin) == stamps

    def stamps(self, positions: Array, origin: np.datetime64) -> Array:
        """The time stamps at positions, the inverse of `positions`."""
        positions = np.asarray(positions)
        if self.seconds:
            return origin + (positions * self.seconds).astype("timedelta64[s]")
        first = origin.astype("datetime64[M]")
        month = first + (positions * self.months).astype("timedelta64[M]")
        next_month = (
            (month + np.timedelta64(1, "M")).astype("datetime64[D]").astype("datetime64[s]")
        )
        stamp = month.astype("datetime64[s]") + (origin - first.astype("datetime64[s]"))
        # The 31st of a month of 30 days is its last day.
        late = stamp >= next_month
        days_over = np.where(late, (stamp - next_month).astype("int64") // 86400 + 1, 0)
        return stamp - (days_over * 86400).astype("timedelta64[s]")

    @property
    def seasons(self) -> tuple[int, ...]:
        """Lengths in steps of the day, the week and the year, as far as they are seasons here."""
        if self.months:
            return (12 // self.months,) if 12 % self.months == 0 and self.months < 12 else (1,)
        day, week = 86400 / self.seconds, 7 * 86400 / self.seconds
        if self.seconds >= 7 * 86400:
            return (max(1, round(365.25 * 86400 / self.seconds)),)
        seasons = [int(n) for n in (day, week) if n == int(n) and n > 1]
        return tuple(seasons) or (1,)

    def lags(self) -> tuple[int, ...]:
        """Lags for a recurrent model: the last steps, and around the seasons' multiples."""
        short, long = self.seasons[0], self.seasons[-1]
        centres = [short * k for k in range(1, 9)] + [long * k for k in range(1, 5)]
        around = {centre + shift for centre in centres for shift in (-1, 0, 1)}
        return tuple(sorted({1, 2, 3} | {lag for lag in around if lag >= 1}))

    def features(self, stamps: Array) -> Array:
        """Calendar features of time stamps, `(n, 18)`: harmonics of day, week and year, in [-1, 1].

        Args:
            stamps: `datetime64[s]`.

        Returns:
            Float32 array.
        """
        seconds = (stamps - _EPOCH).astype("int64")
        year = stamps.astype("datetime64[Y]").astype("datetime64[s]")
        length = (stamps.astype("datetime64[Y]") + 1).astype("datetime64[s]") - year
        phases = (
            (seconds % 86400 / 86400, 4),
            (seconds // 86400 % 7 / 7, 3),
            ((stamps - year).astype("int64") / length.astype("int64"), 2),
        )
        waves = [
            wave(2 * np.pi * k * phase)
            for phase, most in phases
            for k in range(1, most + 1)
            for wave in (np.sin, np.cos)
        ]
        return np.stack(waves, axis=-1).astype("float32")
