"""Messages to people: written to the outbox with the change they tell of, sent by the worker afterwards."""
