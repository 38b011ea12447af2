"""Numbers: what the predictions, the nets and the data say. Nothing here draws."""
