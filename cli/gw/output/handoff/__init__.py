"""The hand-over as text for people and as a document for programs, both as they were signed."""
