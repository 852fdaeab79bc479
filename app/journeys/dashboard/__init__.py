"""What happened in an organization, as plots and as tables."""
