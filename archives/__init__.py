"""What we remember: candidates, the journal of everything told, the archive of elites, and choice among them."""
