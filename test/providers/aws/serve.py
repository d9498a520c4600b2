"""moto's server, with what EC2 does and moto 5.2 does not: the address of a terminated instance is free again."""
import sys

from moto.ec2.models.instances import Instance
from moto.server import main

terminate = Instance.terminate


def terminate_and_free(self):
    for nic in self.nics.values():
        nic.subnet.del_subnet_ip(nic.private_ip_address)
    return terminate(self)


Instance.terminate = terminate_and_free
main(sys.argv[1:])
