"""Species names → photos on disk, with their licences."""
