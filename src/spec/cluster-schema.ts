/**
 * The shape of `cluster.yaml` as JSON Schema (draft 7), for ajv and for editors: `schema/cluster.schema.json` is this
 * object, and a test keeps the two equal. What a schema cannot say well (why 4 members are no better than 3) is said
 * by the rules. Descriptions are shown in editors and in diagnostics.
 */
import { membersMax } from "./quorum-table.ts";

export type JsonSchema = { readonly [keyword: string]: unknown };

const dnsLabel: JsonSchema = {
  type: "string",
  pattern: "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
  description: "a DNS label: 1 to 63 lower-case letters, digits and dashes, with no dash at either end",
};

const address: JsonSchema = {
  type: "string",
  minLength: 1,
  maxLength: 253,
  description: "an IP address without port; with provider local one of 127.0.0.0/8",
};

const zone: JsonSchema = {
  type: "string",
  minLength: 1,
  maxLength: 63,
  description: "the failure domain: what fails together has the same zone",
};

const port: JsonSchema = { type: "integer", minimum: 1, maximum: 65_535, description: "a TCP port, 1 to 65535" };

function mapping(description: string, required: readonly string[], properties: Record<string, JsonSchema>): JsonSchema {
  // What begins with x- is for its writer: a place for anchors, notes of other tools.
  const patternProperties = { "^x-": true };
  return { type: "object", description, additionalProperties: false, patternProperties, required, properties };
}

function wholeNumber(description: string, minimum: number, maximum: number, fallback: number): JsonSchema {
  return { type: "integer", description, minimum, maximum, default: fallback };
}

const master = mapping("one member of the control plane", ["name", "address"], { name: dnsLabel, zone, address });
const worker = mapping("one worker host", ["name", "address"], { name: dnsLabel, zone, address });

const path: JsonSchema = { type: "string", minLength: 1, maxLength: 4096 };

function pemFile(description: string): JsonSchema {
  return { ...path, description: `the PEM file of ${description}` };
}

const adoptedTls = mapping("the certificates of the members that run", ["caFile", "certFile", "keyFile"], {
  caFile: pemFile("the authority that signed the members' certificates"),
  certFile: pemFile("the client certificate that haplan shows them"),
  keyFile: pemFile("that certificate's key"),
  caKeyFile: pemFile("the authority's key, with which haplan makes the new members' certificates"),
  peerCaFile: pemFile("the authority that peers trust, when it is another"),
  peerCaKeyFile: pemFile("the key of the peers' authority"),
  certificates: {
    type: "array",
    minItems: 1,
    maxItems: membersMax,
    description:
      "a list of certificates that are ready, one for each new master, when the authority's key is not at hand",
    items: mapping("the certificate of one new master", ["name", "certFile", "keyFile"], {
      name: dnsLabel,
      certFile: pemFile("the certificate, for the master's address, for servers and clients"),
      keyFile: pemFile("that certificate's key"),
      peerCertFile: pemFile("the certificate for its peers, when it is another"),
      peerKeyFile: pemFile("the key of the certificate for its peers"),
    }),
  },
});

const controlPlane = mapping("the masters and what runs on them", [], {
  members: {
    type: "integer",
    enum: [3, 5, 7],
    description: "how many members: 3, 5 or 7; must equal the number of masters when they are listed",
  },
  engine: {
    type: "string",
    enum: ["agent", "etcd"],
    default: "agent",
    description:
      "what runs on each master: agent, haplan's own Raft agent, or etcd, a real one that is found on the path",
  },
  adopt: mapping("an existing cluster that is taken over without a restart", ["endpoints"], {
    endpoints: {
      type: "array",
      items: {
        type: "string",
        pattern: "^https?://[^/:\\s]+:\\d{1,5}$",
        description: "a client URL such as http://127.0.1.1:2379",
      },
      minItems: 1,
      maxItems: membersMax,
      uniqueItems: true,
      description: "a list of client URLs, one for each member that runs; each is listed under masters by its address",
    },
    tls: adoptedTls,
  }),
  masters: {
    type: "array",
    items: master,
    description:
      "the masters; with provider local they may be left out and are then m1, m2, ... at 127.0.1.1, 127.0.1.2, ...",
  },
  moved: {
    type: "array",
    items: mapping("a master that has another name than before, and keeps its machine and data", ["from", "to"], {
      from: { ...dnsLabel, description: "the name that the master had, which no master has now" },
      to: { ...dnsLabel, description: "the name that it has in masters" },
    }),
    maxItems: 64,
    description: "masters that have other names than before: from the former name to the one in masters",
  },
  zones: {
    type: "array",
    items: zone,
    minItems: 1,
    maxItems: membersMax,
    uniqueItems: true,
    description: "failure domains that masters without a zone of their own are spread over, the emptiest first",
  },
  tls: mapping("mutual TLS between members and for clients", [], {
    enabled: { type: "boolean", default: true, description: "true or false" },
  }),
  clientPort: { ...port, default: 2379 },
  peerPort: { ...port, default: 2380 },
  electionTimeoutMs: wholeNumber("milliseconds without a leader's message before an election", 10, 50_000, 1000),
  heartbeatIntervalMs: wholeNumber("milliseconds between a leader's messages", 1, 10_000, 100),
});

const loadBalancer = mapping("the one address that clients and workers use", [], {
  type: {
    type: "string",
    enum: ["embedded", "haproxy"],
    default: "embedded",
    description: "embedded (haplan's own TCP proxy) or haproxy",
  },
  address: { ...address, default: "127.0.1.100" },
  ports: {
    type: "array",
    items: port,
    minItems: 1,
    maxItems: 16,
    description: "a list of ports that clients connect to, at least one; the first is the control plane's endpoint",
  },
});

const policy = mapping("how carefully changes are made", [], {
  maxLearnerLagEntries: wholeNumber("entries a learner may lack when it gets its vote", 0, 1_000_000, 1000),
  healthSamples: wholeNumber("good answers in a row that make a member healthy", 1, 100, 3),
  joinTimeoutMs: wholeNumber("milliseconds a new member may take to catch up", 1000, 86_400_000, 300_000),
  backupBeforeMembershipChange: {
    type: "boolean",
    default: false,
    description:
      "take a snapshot before each change of the membership, and change nothing when there is none to be had",
  },
  renewBeforeDays: wholeNumber("days before its end from which on a certificate is renewed", 1, 300, 90),
  allowEvenSteps: {
    type: "boolean",
    default: false,
    description: "with engine etcd: allow changes that pass an even number of voters, such as 4 on the way from 3 to 5",
  },
});

const state = mapping("where the state is kept, and whether it is encrypted", [], {
  backend: {
    type: "string",
    enum: ["local", "etcd", "s3"],
    default: "local",
    description: "local (a file below .haplan), etcd (a real etcd or another haplan cluster) or s3 (a bucket)",
  },
  etcd: mapping("the etcd that holds the state", ["endpoints"], {
    endpoints: {
      type: "array",
      items: {
        type: "string",
        pattern: "^(https?://)?[^/\\s]+:\\d+/?$",
        description: "an endpoint such as https://10.0.0.1:2379",
      },
      minItems: 1,
      maxItems: 16,
      description: "a list of endpoints of one cluster, such as https://10.0.0.1:2379",
    },
    prefix: {
      type: "string",
      pattern: "^/[^\\s]*$",
      default: "/haplan/state",
      description: "what the keys begin with, such as /haplan/state",
    },
    caFile: { ...path, description: "the PEM file of the authority that signed the etcd's certificates" },
    certFile: { ...path, description: "the PEM file of the certificate that haplan shows" },
    keyFile: { ...path, description: "the PEM file of that certificate's key" },
  }),
  s3: mapping("the bucket that holds the state", ["bucket"], {
    bucket: {
      type: "string",
      pattern: "^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
      description: "a bucket's name: 3 to 63 lower-case letters, digits, dots and dashes",
    },
    prefix: { type: "string", default: "haplan", description: "what the objects' names begin with, such as haplan" },
    region: { type: "string", minLength: 1, description: "a region such as eu-central-1" },
    endpoint: {
      type: "string",
      pattern: "^https?://",
      description: "a URL, for stores that speak S3 and are not Amazon's",
    },
    forcePathStyle: {
      type: "boolean",
      description: "true or false: whether the bucket goes into the path instead of the host name",
    },
  }),
  encryption: mapping("encryption of the state and of saved plans with a passphrase", ["passphraseEnv"], {
    passphraseEnv: {
      type: "string",
      pattern: "^[A-Za-z_][A-Za-z0-9_]*$",
      description: "the name of the environment variable that holds the passphrase, such as HAPLAN_PASSPHRASE",
    },
  }),
});

const spec = mapping("the cluster as it should be", ["controlPlane"], {
  provider: mapping("what the machines are", ["type"], {
    type: {
      type: "string",
      enum: ["local"],
      description: "local: each machine is a directory with processes on this computer",
    },
  }),
  state,
  controlPlane,
  workers: { type: "array", items: worker, maxItems: 5000, description: "a list of worker hosts" },
  loadBalancer,
  policy,
});

export const clusterSchema: JsonSchema = {
  $schema: "http://json-schema.org/draft-07/schema#",
  $id: "https://haplan.dev/schema/v1/cluster.schema.json",
  title: `A highly available control plane of 3 to ${membersMax} members`,
  ...mapping("a cluster, as haplan plans and applies it", ["apiVersion", "kind", "metadata", "spec"], {
    apiVersion: { type: "string", const: "haplan.dev/v1", description: "haplan.dev/v1" },
    kind: { type: "string", const: "Cluster", description: "Cluster" },
    metadata: mapping("what identifies the cluster", ["name"], { name: dnsLabel }),
    spec,
  }),
};

/** The schema file that editors load. */
export function renderClusterSchema(): string {
  return `${JSON.stringify(clusterSchema, null, 2)}\n`;
}
