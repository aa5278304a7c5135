"""Files of a model that are made from a Python package that is installed beside this one."""
