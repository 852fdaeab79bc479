"""Keyturn: a portal for locked and forgotten passwords. Two factors, always."""
