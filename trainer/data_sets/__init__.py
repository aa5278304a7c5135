"""Labelled and captioned pictures as people have them: folders, tar files, lists, Pascal VOC; read and surveyed."""
