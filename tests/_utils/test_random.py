"""Seeds are drawn as from scikit-learn's random states."""

import numpy as np
import pytest

from softkmeans._utils.random import draw_seed
from softkmeans.errors import InputError


@pytest.mark.parametrize("seed", [0, 5, np.int64(7), 2**32 - 1])
def test_seed_of_an_integer_is_that_of_its_random_state(seed):
    expected = np.random.RandomState(seed).randint(2**31)
    assert [draw_seed(seed), draw_seed(seed), draw_seed(np.random.RandomState(seed))] == [expected] * 3


@pytest.mark.parametrize("seed", [-1, 2**32, "seed"])
def test_invalid_seeds(seed):
    with pytest.raises(InputError, match="random_state"):
        draw_seed(seed)
