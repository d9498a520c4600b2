/** `spec.loadBalancer` */

export const loadBalancer = {
  type: "object",
  description: "the single address for clients and workers",
  extendedBy: "loadBalancerKeys",
  keys: {
    type: {
      type: "string",
      enum: ["embedded", "haproxy"],
      filledBy: "provider",
      description: "embedded (haplan's own TCP proxy) or haproxy",
      example: "haproxy",
    },
    address: { shape: "address", filledBy: "provider" },
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
