"""To and from the distributions of other libraries."""

from timedist.interop.native import NativeDistribution, as_distribution, is_distribution

__all__ = ["NativeDistribution", "as_distribution", "is_distribution"]
