/** `spec.kubernetes` */

export const kubernetes = {
  type: "object",
  description: "the Kubernetes that kubeadm installs on masters and workers, with the members as its external etcd",
  keys: {
    version: {
      type: "string",
      pattern: "^v?1\\.\\d{1,3}\\.\\d{1,3}$",
      required: true,
      description: "the version of Kubernetes, 1.31.0 or newer",
      example: "v1.35.4",
    },
    clusterName: {
      shape: "dnsLabel",
      absent: "`metadata.name`",
      description: "the name of the cluster in kubeconfig files, a DNS label",
      example: "production",
    },
    apiServerPort: {
      shape: "port",
      default: 6443,
      description: "the TCP port of the API server on each master, 1 to 65535",
      example: 6443,
    },
    endpointPort: {
      shape: "port",
      absent: "`apiServerPort`",
      description: "the TCP port of the API servers at the load balancer, 1 to 65535",
      example: 8443,
    },
    podSubnet: {
      shape: "subnets",
      absent: "the network plugin assigns addresses to pods",
      description: "the addresses of pods: a subnet, or two for dual stack",
      example: "10.244.0.0/16",
    },
    serviceSubnet: {
      shape: "subnets",
      default: "10.96.0.0/12",
      description: "the addresses of services: a subnet, or two for dual stack",
      example: "10.96.0.0/12,fd00:96::/112",
    },
    dnsDomain: {
      type: "string",
      pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
      maxLength: 253,
      default: "cluster.local",
      description: "the DNS domain of services",
      example: "cluster.local",
    },
    certSANs: {
      type: "array",
      items: { shape: "address", description: "an IP address or a DNS name", example: "api.example.com" },
      maxItems: 64,
      uniqueItems: true,
      default: [],
      description:
        "more names for the certificates of the API servers; the load balancer's address and each master's own name and address are in them anyway",
      example: ["api.example.com"],
    },
    criSocket: {
      type: "string",
      pattern: "^unix:///\\S+$",
      absent: "kubeadm finds the container runtime",
      description: "the socket of the container runtime, for hosts with more than one",
      example: "unix:///run/containerd/containerd.sock",
    },
    bootstrap: {
      type: "boolean",
      default: false,
      description: "run kubeadm init and kubeadm join on the hosts, not only write their configuration",
      example: true,
    },
  },
} as const;

export const subnets = {
  type: "string",
  pattern: "^[0-9a-fA-F:.]+/\\d{1,3}(,[0-9a-fA-F:.]+/\\d{1,3})?$",
  description: "a subnet such as 10.244.0.0/16, or one of IPv4 and one of IPv6, with a comma between them",
  example: "10.244.0.0/16",
} as const;
