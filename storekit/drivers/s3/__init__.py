"""S3: a signer of our own, a lean data plane for part bytes, boto3 for the control plane."""
