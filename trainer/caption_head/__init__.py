"""A head taught by captions: pictures land near to what people say of them."""
