/** `spec.controlPlane.migrateFrom`: the cluster whose data `haplan migrate` brings into this one. */

export const migrateFromTls = {
  type: "object",
  description: "how haplan connects to the members of that cluster",
  keys: {
    caFile: {
      shape: "file",
      required: true,
      description: "the PEM file of the authority that signed the members' certificates",
    },
    certFile: {
      shape: "file",
      required: true,
      description: "the PEM file of a client certificate that they accept",
      example: "pki/client.crt",
    },
    keyFile: {
      shape: "file",
      required: true,
      description: "the PEM file of that certificate's key",
      example: "pki/client.key",
    },
  },
} as const;

export const migrateFrom = {
  type: "object",
  description: "a running cluster of etcd, or of haplan's agent, that this one replaces by `haplan migrate`",
  example: { endpoints: ["http://10.0.0.1:2379", "http://10.0.0.2:2379", "http://10.0.0.3:2379"] },
  keys: {
    endpoints: {
      type: "array",
      items: { shape: "memberUrl" },
      minItems: 1,
      maxItems: 7,
      uniqueItems: true,
      required: true,
      description: "the client URLs of all its members",
      example: ["http://10.0.0.1:2379", "http://10.0.0.2:2379", "http://10.0.0.3:2379"],
    },
    tls: { shape: "migrateFromTls", absent: "its members run without TLS" },
  },
} as const;
