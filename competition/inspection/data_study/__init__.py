"""What can be said of the digits before any training: numbers, which draw nothing."""
