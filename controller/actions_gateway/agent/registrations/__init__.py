"""Runner registrations at GitHub: unique, single-use, never stored."""
