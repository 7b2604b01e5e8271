"""The one printer and what it prints: each result as text for people and as a versioned document for programs."""
