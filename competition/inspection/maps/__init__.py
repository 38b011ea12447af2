"""What a net looked at in a digit, and what it learnt that looks alike: numbers, draws nothing."""
