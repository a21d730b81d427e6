"""Tests of imported configurations."""
