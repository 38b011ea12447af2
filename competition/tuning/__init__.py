"""Search for the best settings of a variant: Optuna around the usual training."""
