"""From the members' probabilities to one prediction per row."""
