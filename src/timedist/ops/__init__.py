"""Level 0: the only modules that look at a backend or at ``keras.src``."""
