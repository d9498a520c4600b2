"""moto's server, with what AWS does and moto 5.2 does not.

The address of a terminated instance is free again. A volume gets the type and the throughput that it is changed to. With HAPLAN_TEST_TARGET_HEALTH, the health of targets is what that
file says of them, as `{"10.0.1.10:2379": "healthy"}`: the proxy that stands for the load balancer writes it.
"""
import json
import os
import sys

from moto.ec2.models.elastic_block_store import VolumeModification
from moto.ec2.models.instances import Instance
from moto.elbv2.models import FakeHealthStatus, FakeTargetGroup
from moto.server import main

terminate = Instance.terminate


def terminate_and_free(self):
    for nic in self.nics.values():
        nic.subnet.del_subnet_ip(nic.private_ip_address)
    return terminate(self)


modify = VolumeModification.__init__


def modify_all(self, volume, *given, **named):
    modify(self, volume, *given, **named)
    volume.volume_type = self.target_volume_type or volume.volume_type
    volume.throughput = self.target_throughput or volume.throughput


health_file = os.environ.get("HAPLAN_TEST_TARGET_HEALTH")


def health_as_proxied(self, target, ec2_backend):
    with open(health_file, encoding="utf8") as file:
        state = json.load(file).get(f"{target['Id']}:{target['Port']}", "initial")
    return FakeHealthStatus(target["Id"], target["Port"], self.health_check_port, state, f"Target.{state}", f"it is {state}")


Instance.terminate = terminate_and_free
VolumeModification.__init__ = modify_all
if health_file:
    FakeTargetGroup.health_for = health_as_proxied
main(sys.argv[1:])
