# times double
