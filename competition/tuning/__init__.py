"""Which settings of a variant do best: Optuna around the training that everything else uses."""
