/** `spec.controlPlane` */

export const movedMaster = {
  type: "object",
  description: "a renamed master, which keeps its machine and data",
  keys: {
    from: {
      shape: "dnsLabel",
      required: true,
      description: "the former name, which no master has now",
      example: "m1",
    },
    to: { shape: "dnsLabel", required: true, description: "its name in masters", example: "m8" },
  },
} as const;

export const tls = {
  type: "object",
  description: "mutual TLS between members and for clients",
  keys: {
    enabled: { type: "boolean", default: true, description: "true or false", example: false },
    extraNames: {
      type: "array",
      items: { shape: "certificateName" },
      maxItems: 64,
      uniqueItems: true,
      default: [],
      description: "more names and IP addresses by which clients reach the masters, for their certificates",
      example: ["etcd.example.com", "10.0.0.99"],
    },
    authority: { shape: "authority", absent: "haplan creates one" },
  },
} as const;

export const authority = {
  type: "object",
  description: "an authority of yours, in place of one that haplan creates; with `keyFile` or `signer`",
  example: { caFile: "pki/ca.crt", keyFile: "pki/ca.key" },
  keys: {
    caFile: {
      shape: "file",
      required: true,
      description: "the PEM file of the authority, or of all that members and clients are to trust",
    },
    keyFile: {
      shape: "file",
      absent: "`signer` signs",
      description: "the PEM file of its key",
      example: "pki/ca.key",
    },
    signer: { shape: "signer", absent: "haplan signs with `keyFile`" },
  },
} as const;

export const signer = {
  type: "object",
  description: "a program that signs certificates",
  example: { command: ["./sign-with-vault", "etcd"] },
  keys: {
    command: {
      type: "array",
      items: { type: "string", description: "a word of the command" },
      minItems: 1,
      maxItems: 100,
      required: true,
      description:
        "the program and its arguments, without a shell: it reads a certificate request in PEM and prints the certificate, followed by those of intermediate authorities",
      example: ["./sign-with-vault", "etcd"],
    },
    timeoutMs: {
      type: "integer",
      minimum: 100,
      maximum: 600_000,
      default: 60_000,
      description: "milliseconds that it may take for a certificate",
    },
  },
} as const;

export const certificateName = {
  type: "string",
  minLength: 1,
  maxLength: 253,
  description: "a DNS name, also with `*` as its first label, or an IP address, without scheme and port",
  example: "etcd.example.com",
} as const;

export const controlPlane = {
  type: "object",
  description: "the masters and the software on them",
  keys: {
    members: {
      type: "integer",
      enum: [3, 5, 7],
      description: "the number of members: 3, 5 or 7; must equal the number of masters if they are listed",
      absent: "the number of `masters`",
      example: 3,
    },
    engine: {
      type: "string",
      enum: ["agent", "etcd"],
      default: "agent",
      description: "the software of each master: agent, haplan's own Raft agent, or etcd, a binary on the PATH",
      example: "etcd",
    },
    etcd: { shape: "etcdProgram", absent: "`etcd` on the PATH of each master, of whatever version" },
    adopt: { shape: "adopt", absent: "no member is adopted" },
    migrateFrom: { shape: "migrateFrom", absent: "the cluster starts empty" },
    masters: { shape: "masters", absent: "as many as `members` says, if the provider gives them addresses" },
    moved: {
      type: "array",
      items: { shape: "movedMaster" },
      maxItems: 64,
      default: [],
      description: "renamed masters: from the former name to the one in masters",
    },
    zones: {
      type: "array",
      items: { shape: "zone" },
      minItems: 1,
      maxItems: 7,
      uniqueItems: true,
      description: "failure domains; masters without a zone are spread over them, the emptiest first",
      absent: "masters without a zone have none",
      example: ["a", "b", "c"],
    },
    tls: { shape: "tls", default: {} },
    clientPort: { shape: "port", default: 2379, description: "the TCP port for clients, 1 to 65535" },
    peerPort: {
      shape: "port",
      default: 2380,
      description: "the TCP port for the other members, 1 to 65535",
      example: 2380,
    },
    electionTimeoutMs: {
      type: "integer",
      minimum: 10,
      maximum: 50_000,
      default: 1000,
      description: "milliseconds without a message from the leader before an election",
    },
    heartbeatIntervalMs: {
      type: "integer",
      minimum: 1,
      maximum: 10_000,
      default: 100,
      description: "milliseconds between heartbeats of the leader",
    },
  },
} as const;

/** A release of etcd that haplan uploads. */
export const etcdArchive = {
  type: "object",
  description: "a release of etcd on the machine that runs haplan, which puts it on each master",
  keys: {
    file: {
      type: "string",
      required: true,
      minLength: 1,
      description: "its archive, as etcd's project publishes it for the masters' architecture",
      example: "etcd-v3.6.14-linux-amd64.tar.gz",
    },
    sha256: {
      type: "string",
      required: true,
      pattern: "^[0-9a-fA-F]{64}$",
      description: "the SHA-256 digest of the file, as `sha256sum` prints it; another file is refused",
      example: "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8",
    },
  },
} as const;

export const etcdProgram = {
  type: "object",
  description: "the etcd that masters run, with `engine: etcd`",
  keys: {
    binary: {
      type: "string",
      absent: "it is in `archive`",
      pattern: "^/[^\\s\"']+$",
      description: "the absolute path of etcd on each master",
      example: "/opt/etcd-3.6.14/etcd",
    },
    archive: { shape: "etcdArchive", absent: "masters have `binary`" },
    version: {
      type: "string",
      required: true,
      pattern: "^3\\.[0-9]+\\.[0-9]+$",
      description:
        "its version, as `etcd --version` prints it; another one is a rolling update, one minor version at a time",
      example: "3.6.14",
    },
    httpPort: {
      shape: "port",
      absent: "`clientPort` serves gRPC and HTTP",
      description:
        "the TCP port for HTTP (health, metrics, JSON gateway), so that clientPort serves gRPC alone: a member that stops then answers every call that it has accepted; for new clusters, etcd 3.4.25, 3.5.8 or newer",
      example: 2383,
    },
  },
} as const;

export const masters = {
  type: "array",
  items: { shape: "host" },
  orFrom: "hostList",
  description: "the masters",
} as const;
