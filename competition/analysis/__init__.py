"""Numbers about predictions, nets and data. Nothing here draws."""
