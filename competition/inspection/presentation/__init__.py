"""What the pages share: templates and style, colours, figures, tables; computes nothing."""
