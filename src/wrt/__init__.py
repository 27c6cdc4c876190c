"""wrt: the derivative of any scalar, vector, matrix or tensor with respect to any other."""
