"""S3: a signer and a data plane without client library for part bytes, boto3 for the control plane."""
