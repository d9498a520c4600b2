/** `spec.loadBalancer` */

export const loadBalancer = {
  type: "object",
  description: "the single address for clients and workers",
  extendedBy: "loadBalancerKeys",
  keys: {
    type: {
      type: "string",
      enum: ["embedded", "haproxy", "nlb"],
      filledBy: "provider",
      description: "embedded (haplan's own TCP proxy), haproxy, or nlb (a network load balancer of AWS)",
      example: "haproxy",
    },
    address: { shape: "address", absent: "the virtual address, or that of the only host" },
    hosts: {
      type: "array",
      items: { shape: "loadBalancerHost" },
      orFrom: "hostList",
      minItems: 1,
      maxItems: 8,
      description: "the hosts of the load balancers, instead of `address`; the first has the virtual address at first",
      absent: "one load balancer, at `address`",
      example: [{ name: "lb1", address: "10.0.0.8" }, { name: "m1" }],
    },
    vip: {
      type: "string",
      minLength: 1,
      maxLength: 45,
      description:
        "the virtual address of two or more hosts: an unused IP address, which keepalived gives to one of them",
      absent: "there is none, for a single host",
      example: "10.0.0.100",
    },
    interface: {
      type: "string",
      pattern: "^[^\\s/]{1,15}$",
      description: "the network interface for the virtual address",
      absent: "the one that has the host's address",
      example: "eth0",
    },
    routerId: {
      type: "integer",
      minimum: 1,
      maximum: 255,
      description: "the virtual router id (VRRP), different from any other in the same network, 1 to 255",
      absent: "derived from the cluster's name and the virtual address",
      example: 77,
    },
    ports: {
      type: "array",
      items: { shape: "port" },
      minItems: 1,
      maxItems: 16,
      description: "a list of ports for clients, at least one; the first is the control plane's endpoint",
      absent: "`controlPlane.clientPort` alone",
      example: [2379],
    },
  },
} as const;

export const loadBalancerHost = {
  type: "object",
  description: "a host of a load balancer: a master or worker of this spec by its name, or a host with an address",
  extendedBy: "loadBalancerKeys",
  keys: {
    name: { shape: "dnsLabel", required: true, example: "lb1" },
    zone: { shape: "zone", absent: "none, or that of the master or worker" },
    address: { shape: "address", absent: "that of the master or worker with this name" },
  },
} as const;
