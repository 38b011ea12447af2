"""What the nets say of the rows, counted and ranked: numbers, which draw nothing."""
