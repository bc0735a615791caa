"""What several rooms share: checks of arguments, files, sparse arithmetic."""
