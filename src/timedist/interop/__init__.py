"""To and from the distributions of other libraries."""

from timedist.interop.conversions import (
    from_numpyro,
    from_tfp,
    from_torch,
    to_numpyro,
    to_tfp,
    to_torch,
)
from timedist.interop.native import NativeDistribution, as_distribution, is_distribution
from timedist.interop.scipy_stats import from_scipy, to_scipy

__all__ = [
    "NativeDistribution",
    "as_distribution",
    "from_numpyro",
    "from_scipy",
    "from_tfp",
    "from_torch",
    "is_distribution",
    "to_numpyro",
    "to_scipy",
    "to_tfp",
    "to_torch",
]
