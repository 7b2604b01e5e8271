"""Admission policies on a real API server: what each lets through, and the sentence with which it refuses."""
