"""From the members' probabilities to one prediction a row."""
