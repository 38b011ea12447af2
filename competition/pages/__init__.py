"""What people look at: pages, figures and contact sheets. Nothing here computes results."""
