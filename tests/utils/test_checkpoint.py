"""Resumable trainings: what happens to torch's global random state."""

import pytest
import torch

from adathresh.utils.checkpoint import ResumableTraining


class Drawing(ResumableTraining):
    """Seeds and draws in every step, or leaves that to somebody else."""

    n_steps, n_done = 3, 0

    def __init__(self, *, seeds_all, meanwhile=lambda: None):
        super().__init__("drawing", torch.nn.Linear(1, 1), [], {})
        self.seeds_all, self.meanwhile, self.drawn = seeds_all, meanwhile, []

    def take_step(self):
        """Draw a number that depends on the step alone."""
        if self.seeds_all:
            torch.manual_seed(self.n_done)
            self.drawn.append(torch.rand(1).item())
        self.meanwhile()
        self.n_done += 1


def test_a_training_that_seeds_the_global_state_puts_it_back():
    training = Drawing(seeds_all=True)
    before = torch.get_rng_state()
    training.run()
    assert torch.equal(torch.get_rng_state(), before)
    expected = [torch.rand(1, generator=torch.Generator().manual_seed(seed)).item() for seed in range(3)]
    assert training.drawn == expected


def test_a_training_with_a_generator_of_its_own_does_not_rewind_what_others_draw():
    others = []
    Drawing(seeds_all=False, meanwhile=lambda: others.append(torch.rand(1).item())).run()
    others.append(torch.rand(1).item())
    assert len(set(others)) == 4  # rewound, the last would be the first again


@pytest.mark.parametrize("seeds_all", [False, True])
def test_the_state_is_put_back_after_an_error_only_where_it_was_seeded(seeds_all):
    def stop():
        torch.rand(1)
        raise RuntimeError("stopped")

    training = Drawing(seeds_all=seeds_all, meanwhile=stop)
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="stopped"):
        training.run()
    assert torch.equal(torch.get_rng_state(), before) == seeds_all
