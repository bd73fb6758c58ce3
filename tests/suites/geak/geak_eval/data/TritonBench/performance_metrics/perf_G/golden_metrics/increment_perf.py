# times increment
