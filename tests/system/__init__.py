"""Tests on booted systems."""
