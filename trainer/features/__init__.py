"""From labelled pictures to features of a backbone, each computed once and kept."""
