"""The folder dataset: a user's own pictures and a CSV file become a benchmark."""
