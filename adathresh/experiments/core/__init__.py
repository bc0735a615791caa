"""What every notebook needs and no notebook asks: configuration, cache, costs, tables, figures, models."""
