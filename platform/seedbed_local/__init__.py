"""A cluster of several nodes on this machine, of real processes, to rehearse on and to test with.

`python -m seedbed_local up` starts what `clusters/local.yaml` states: a Ray head whose autoscaler
starts and ends worker nodes, an S3 server, Postgres and an MLflow server. No part of the library
imports this package, and none of it is needed where a cluster is real.
"""
