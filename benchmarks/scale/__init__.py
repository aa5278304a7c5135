"""A simulation of many embedders and gateways, from service times that were measured on real ones."""
