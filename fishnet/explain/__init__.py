"""Model and images → maps, and maps → pictures."""
