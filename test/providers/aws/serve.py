"""moto's server, with what AWS does and moto 5.2 does not.

The address of a terminated instance is free again. A volume gets the type and the throughput that it is changed to. A ClientToken stands for one
request of RunInstances, also once its instance is terminated. There are placement groups. A security group that an
instance has is not deleted. With HAPLAN_TEST_TARGET_HEALTH, the health of targets is what that
file says of them, as `{"10.0.1.10:2379": "healthy"}`: the proxy that stands for the load balancer writes it.
"""
import json
import os
import sys

from moto.core.responses import ActionResult
from moto.ec2.exceptions import DependencyViolationError, EC2ClientError
from moto.ec2.models.elastic_block_store import VolumeModification
from moto.ec2.models.instances import Instance
from moto.ec2.models.security_groups import SecurityGroupBackend
from moto.ec2.responses import EC2Response
from moto.ec2.utils import filter_dict_attribute_mapping
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


run_instances = EC2Response.run_instances


def run_once(self):
    token, group = self._get_param("ClientToken"), self._get_param("Placement.GroupName", "")
    asked = json.dumps({**self.params, "DryRun": None}, default=str, sort_keys=True)
    known = self.ec2_backend.__dict__.setdefault("reservations_by_token", {})
    if group and not self._get_param("DryRun") and group not in groups_of(self):
        raise EC2ClientError("InvalidPlacementGroup.Unknown", f"The Placement Group '{group}' is unknown.")
    if token in known and not self._get_param("DryRun"):
        if known[token][0] != asked:
            raise EC2ClientError("IdempotentParameterMismatch", "The request was made with other parameters before.")
        return ActionResult(known[token][1])
    made = run_instances(self)
    known[token] = (asked, made.result)
    for instance in made.result.instances:
        instance.placement.group_name = group
    return made


def groups_of(response):
    return response.ec2_backend.__dict__.setdefault("placement_groups", {})


def create_placement_group(self):
    name = self._get_param("GroupName")
    self.error_on_dryrun()
    if name in groups_of(self):
        raise EC2ClientError("InvalidPlacementGroup.Duplicate", f"The Placement Group '{name}' already exists.")
    tags = self._parse_tag_specification("placement-group").get("placement-group", {})
    group = {"GroupName": name, "State": "available", "Strategy": self._get_param("Strategy")}
    groups_of(self)[name] = {**group, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
    return ActionResult({"PlacementGroup": groups_of(self)[name]})


def describe_placement_groups(self):
    def is_found(group):
        values = {"group-name": group["GroupName"], **{f"tag:{tag['Key']}": tag["Value"] for tag in group["Tags"]}}
        return all(values.get(name) in wanted for name, wanted in self._filters_from_querystring().items())

    return ActionResult({"PlacementGroups": [group for group in groups_of(self).values() if is_found(group)]})


def delete_placement_group(self):
    name = self._get_param("GroupName")
    self.error_on_dryrun()
    instances = self.ec2_backend.all_instances()
    if any(each.placement.group_name == name and each.state != "terminated" for each in instances):
        raise EC2ClientError("InvalidPlacementGroup.InUse", f"The placement group {name} is in use and may not be deleted.")
    if groups_of(self).pop(name, None) is None:
        raise EC2ClientError("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
    return ActionResult({})


def state_at_creation(state):
    name = getattr(state, "name", state)
    return {"Code": 0, "Name": "pending"} if name == "running" else {"Code": 48, "Name": name}


delete_group = SecurityGroupBackend._delete_security_group


def delete_unused_group(self, vpc_id, group_id):
    if any(group.id == group_id for each in self.all_instances() if each.state != "terminated" for group in each.security_groups):
        raise DependencyViolationError(f"resource {group_id} has a dependent object")
    delete_group(self, vpc_id, group_id)


health_file = os.environ.get("HAPLAN_TEST_TARGET_HEALTH")


def health_as_proxied(self, target, ec2_backend):
    with open(health_file, encoding="utf8") as file:
        state = json.load(file).get(f"{target['Id']}:{target['Port']}", "initial")
    return FakeHealthStatus(target["Id"], target["Port"], self.health_check_port, state, f"Target.{state}", f"it is {state}")


filter_dict_attribute_mapping["client-token"] = "client_token"
for served in (create_placement_group, describe_placement_groups, delete_placement_group):
    setattr(EC2Response, served.__name__, served)
EC2Response.run_instances = run_once
EC2Response.RESPONSE_KEY_PATH_TO_TRANSFORMER["RunInstances.Reservation.Instances.Instance.State"] = state_at_creation
SecurityGroupBackend._delete_security_group = delete_unused_group
Instance.terminate = terminate_and_free
VolumeModification.__init__ = modify_all
if health_file:
    FakeTargetGroup.health_for = health_as_proxied
main(sys.argv[1:])
