"""What machines are for. A role is a resource of Ray's that a machine of a cluster has one of; a stage asks for a
thousandth of it beside cores and GPUs. So it comes to stand where it belongs, and an autoscaler knows which machine
to start for it, whatever machines are called.
"""

from collections.abc import Mapping
from typing import Literal, get_args

Role = Literal["reader", "generator", "translator", "scorer", "trainer", "server"]
ROLES: tuple[Role, ...] = get_args(Role)
HEAD = "head"  # what the head has in a role's place: a cluster in which it has it is one with roles
SHARE = 0.001  # of its role, that an actor takes: cores and GPUs say how many there are of them on a machine


def held(resources: Mapping[str, float]) -> frozenset[str]:
    """Of all that a machine has, its roles, and whether it is the head."""
    return frozenset(role for role in (*ROLES, HEAD) if resources.get(role))


def everything() -> dict[str, float]:
    """The resources of a machine that may do all."""
    return dict.fromkeys(ROLES, 1.0)
