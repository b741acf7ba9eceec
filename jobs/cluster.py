"""Checks the cluster file: the machines that jobs may have, by node type, what each has, and what it is for.

It leaves what KubeRay takes of it: raycluster.yaml, a cluster that stays, and rayjob.yaml, a cluster for one job.
"""

from xlnu.cluster.job import ClusterConfig, work
from xlnu.job import job

if __name__ == "__main__":
    job("cluster", ClusterConfig, work, __doc__)
