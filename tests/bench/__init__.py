"""What the portal costs, as ratios to a bare Argon2id verify and to a bare Flask page (docs/performance.md)."""
