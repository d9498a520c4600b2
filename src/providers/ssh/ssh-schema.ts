/** What the provider `ssh` contributes to the spec: machines are hosts that exist, and that ssh reaches. */

import type { ProviderSchema } from "../../spec/provider-schema.ts";
import type { Keys } from "../../spec/schema/shape.ts";
import { artifactShape, checkArtifact } from "../artifact-schema.ts";
import { sshRules } from "./ssh-rules.ts";

const user = {
  type: "string",
  minLength: 1,
  description: "the user to log in as",
  absent: "ssh's own configuration",
  example: "admin",
} as const;

const port = {
  type: "integer",
  minimum: 1,
  maximum: 65_535,
  description: "the port of the host's sshd",
  absent: "ssh's own configuration",
  example: 22,
} as const;

const identityFile = {
  type: "string",
  minLength: 1,
  description: "a file with a private key",
  absent: "ssh's own configuration, and the agent",
  example: "~/.ssh/id_ed25519",
} as const;

const jump = {
  type: "string",
  minLength: 1,
  description: "jump host or hosts, as `ssh -J` takes them",
  absent: "ssh's own configuration",
  example: "gate.example.com",
} as const;

/** How one host is reached. */
export const sshHostKeys: Keys = {
  ssh: {
    type: "object",
    default: {},
    description: "how ssh reaches this host",
    keys: {
      host: {
        type: "string",
        minLength: 1,
        description: "the host name or address to connect to, or a name of ssh's configuration",
        absent: "`address`",
        example: "m1.example.com",
      },
      user,
      port,
      identityFile,
      jump,
      hostKey: {
        type: "string",
        pattern: "^(ssh-|ecdsa-|sk-)[A-Za-z0-9@.-]+ AAAA[A-Za-z0-9+/]+={0,2}$",
        description: "the host's public key, as in its /etc/ssh/ssh_host_ed25519_key.pub without the comment",
        absent: "known_hosts",
        example: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5qzC0ZkBvXfD3XbXz0nqk4m5vQe6j9n2o0r1s2t3u4",
      },
    },
  },
};

/** How all hosts are reached, and what runs on them. */
export const sshSettings: Keys = {
  user,
  port,
  identityFile,
  jump,
  sshOptions: {
    type: "array",
    items: { type: "string", pattern: "^[A-Za-z]+=.+$", description: "an option, as `ssh -o` takes it" },
    default: [],
    description:
      "more options, as `ssh -o` takes them; not those that haplan sets itself, such as StrictHostKeyChecking or ConnectTimeout",
    example: ["Compression=yes"],
  },
  become: {
    type: "string",
    enum: ["auto", "sudo", "none"],
    default: "auto",
    description: "how to become root on a host: auto (sudo unless the user is root), sudo, or none",
    example: "auto",
  },
  connections: {
    type: "integer",
    minimum: 1,
    maximum: 100,
    default: 10,
    description: "maximum number of hosts that are contacted at the same time",
  },
  artifact: {
    ...artifactShape,
    description: "the version of haplan's programs that all hosts run, as `haplan artifact` built it",
    absent: "that of the haplan that applies, built on this machine with npm, and kept",
  },
};

export const sshSchema: ProviderSchema = {
  type: "ssh",
  description: "ssh: each machine is a host with Linux and systemd that ssh reaches",
  settings: {
    ...sshSettings,
    packages: {
      type: "string",
      enum: ["present", "install"],
      default: "present",
      description:
        "where etcd, haproxy and keepalived come from: present (they are on the hosts), or install (by apt or dnf where they are missing; destroy removes them)",
      example: "install",
    },
  },
  hostKeys: sshHostKeys,
  loadBalancerKeys: sshHostKeys,
  loadBalancerTypes: ["embedded", "haproxy"],
  address: {
    description: "an IP address or host name without port, which the members and clients use",
    example: "10.0.0.1",
  },
  deriveMasters: null,
  hasBalancerHosts: true,
  loadBalancerAddress: null,
  rules: [...sshRules, checkArtifact],
};
