"""The results of a run as a page, Markdown, figures and tables; computes nothing."""
