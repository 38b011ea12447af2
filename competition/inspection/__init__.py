"""What went right and wrong: numbers first, then pictures and pages of them."""
