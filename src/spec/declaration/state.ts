/** `spec.state` */

export const etcdState = {
  type: "object",
  description: "the etcd that stores the state",
  keys: {
    endpoints: {
      type: "array",
      items: {
        type: "string",
        pattern: "^(https?://)?[^/\\s]+:\\d+/?$",
        description: "an endpoint such as https://10.0.0.1:2379",
      },
      minItems: 1,
      maxItems: 16,
      required: true,
      description: "a list of endpoints of one cluster, such as https://10.0.0.1:2379",
      example: ["https://10.0.0.1:2379"],
    },
    prefix: {
      type: "string",
      pattern: "^/[^\\s]*$",
      default: "/haplan/state",
      description: "the prefix of the keys, such as /haplan/state",
    },
    caFile: {
      shape: "file",
      absent: "the system's authorities",
      description: "the PEM file of the authority that signed the etcd's certificates",
    },
    certFile: {
      shape: "file",
      absent: "no client certificate",
      description: "the PEM file of haplan's client certificate",
      example: "pki/client.crt",
    },
    keyFile: {
      shape: "file",
      absent: "no client certificate",
      description: "the PEM file of that certificate's key",
      example: "pki/client.key",
    },
  },
} as const;

export const encryption = {
  type: "object",
  description: "encryption of the state and of saved plans with a passphrase",
  keys: {
    passphraseEnv: {
      type: "string",
      pattern: "^[A-Za-z_][A-Za-z0-9_]*$",
      required: true,
      description: "the name of the environment variable of the passphrase, such as HAPLAN_PASSPHRASE",
      example: "HAPLAN_PASSPHRASE",
    },
  },
} as const;

export const state = {
  type: "object",
  description: "where the state is stored, and whether it is encrypted",
  keys: {
    backend: {
      type: "string",
      enum: ["local", "etcd", "s3"],
      default: "local",
      description: "local (a file below .haplan), etcd (a real etcd or another haplan cluster) or s3 (a bucket)",
      example: "s3",
    },
    etcd: { shape: "etcdState", absent: "required with `backend: etcd`" },
    s3: { shape: "bucket", absent: "required with `backend: s3`", description: "the bucket that stores the state" },
    encryption: { shape: "encryption", absent: "neither is encrypted" },
  },
} as const;
