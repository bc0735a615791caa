"""Types that signatures name: what functions take, and what they give back."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

MatrixLike: TypeAlias = npt.ArrayLike | sp.sparray | sp.spmatrix
"""A matrix that is taken: anything that NumPy makes an array of, or a sparse one."""

Matrix: TypeAlias = np.ndarray | sp.csr_array | sp.csr_matrix
"""A matrix that is given back: an array, or CSR where what was taken is sparse."""
