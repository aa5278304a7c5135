"""Read and check labelled and captioned pictures: folders, tar files, lists, Pascal VOC."""
