"""Labelled pictures as people have them: a folder a class, tar files, lists, Pascal VOC; read, and looked over."""
