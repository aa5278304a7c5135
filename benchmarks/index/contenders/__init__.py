"""The other libraries, one small class each; `contract` defines their interface."""
