"""A head taught by captions: pictures land near what people say about them."""
