"""Running the notebooks: configuration, runner, tables, figures."""
