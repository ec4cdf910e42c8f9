"""What tests of mrcore stand on, shipped for users' own tests: plain-Python references of the kernels."""
