"""A recorded mission on the console: record, receiver, decoder and screen once more."""
