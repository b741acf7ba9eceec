"""The cluster file at work on one machine: its node types come up for the steps of a submitted job, and go again.

Ray's autoscaler is real, and so is the job; machines are processes here. Leaves a picture of machines by type.
"""

from xlnu.cluster.demo import ClusterDemoConfig, work
from xlnu.job import job

if __name__ == "__main__":
    job("cluster_demo", ClusterDemoConfig, work, __doc__)
