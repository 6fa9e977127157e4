"""Workers as processes: the command, signals, health, presence and supervision."""
