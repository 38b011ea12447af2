"""A study of the data as a page, figures and tables; computes nothing."""
