"""Credentials in use: the App's installation token, and the token of each single-use runner."""
