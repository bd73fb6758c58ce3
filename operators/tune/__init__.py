"""The tuner: settings of one structure's knobs, proposed from everything that was measured on it."""
