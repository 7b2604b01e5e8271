"""Tests of the room that speaks to GitHub; `doubles` is shared by them."""
