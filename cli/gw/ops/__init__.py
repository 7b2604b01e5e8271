"""The operations: async functions with dataclasses in and out. They print nothing and ask through a `Conversation`."""
