"""Prints the project's requirements, development tools included, except the packages named on the command line."""

import re
import sys
import tomllib

with open(sys.argv[1], "rb") as file:
    project = tomllib.load(file)["project"]
for requirement in project["dependencies"] + project["optional-dependencies"]["dev"]:
    if re.split(r"[^\w.-]", requirement)[0] not in sys.argv[2:]:
        print(requirement)
