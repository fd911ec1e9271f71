"""Layers whose weights have a posterior distribution, and penalties by divergences."""

from timedist.layers.variational.convolutional import (
    Convolution1DFlipout,
    Convolution1DReparameterization,
    Convolution2DFlipout,
    Convolution2DReparameterization,
    Convolution3DFlipout,
    Convolution3DReparameterization,
    ConvolutionPosterior,
)
from timedist.layers.variational.dense import (
    DenseFlipout,
    DenseLocalReparameterization,
    DensePosterior,
    DenseReparameterization,
    DenseVariational,
)
from timedist.layers.variational.divergence import (
    BayesianLayer,
)
from timedist.layers.variational.embedding import (
    EmbeddingReparameterization,
)
from timedist.layers.variational.penalties import (
    KLDivergenceAddLoss,
    KLDivergenceRegularizer,
)
from timedist.layers.variational.posteriors import (
    default_loc_scale_fn,
    default_mean_field_normal_fn,
    default_multivariate_normal_fn,
)
from timedist.layers.variational.recurrent import (
    CellReparameterization,
    GRUReparameterization,
    LSTMReparameterization,
    RecurrentReparameterization,
)
from timedist.layers.variational.variable_layer import (
    BlockwiseInitializer,
    VariableLayer,
)
from timedist.layers.variational.weight_norm import (
    WeightNorm,
)
from timedist.layers.variational.weights import (
    WeightPosterior,
)

__all__ = [
    "BayesianLayer",
    "BlockwiseInitializer",
    "CellReparameterization",
    "Convolution1DFlipout",
    "Convolution1DReparameterization",
    "Convolution2DFlipout",
    "Convolution2DReparameterization",
    "Convolution3DFlipout",
    "Convolution3DReparameterization",
    "ConvolutionPosterior",
    "DenseFlipout",
    "DenseLocalReparameterization",
    "DensePosterior",
    "DenseReparameterization",
    "DenseVariational",
    "EmbeddingReparameterization",
    "GRUReparameterization",
    "KLDivergenceAddLoss",
    "KLDivergenceRegularizer",
    "LSTMReparameterization",
    "RecurrentReparameterization",
    "VariableLayer",
    "WeightNorm",
    "WeightPosterior",
    "default_loc_scale_fn",
    "default_mean_field_normal_fn",
    "default_multivariate_normal_fn",
]
