"""From digits and a variant to a trained member of the ensemble."""
