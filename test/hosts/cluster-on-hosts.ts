/** A cluster on test hosts: its spec, haplan as a process of its own, and a shell on each host. */
import { execa } from "execa";
import { ClusterFixture } from "../e2e/cluster-fixture.ts";
import type { ProgramRun } from "../e2e/run-program.ts";
import type { HostSet } from "./host-set.ts";
import type { TestHost } from "./test-host.ts";

export type HostsSpec = {
  readonly name: string;
  readonly engine: "agent" | "etcd";
  /** Names of masters, each with its host. */
  readonly masters: readonly (readonly [name: string, host: TestHost])[];
  readonly workers?: readonly (readonly [name: string, host: TestHost])[];
  readonly balancer: TestHost;
  readonly balancerType: "embedded" | "haproxy";
  readonly balancerPort?: number;
  /** Several load balancers with a virtual address, instead of one on `balancer`; `more`: keys of `loadBalancer`. */
  readonly virtual?: {
    readonly address: string;
    readonly hosts: readonly (readonly [name: string, host: TestHost])[];
    readonly more?: string;
  };
  /** Endpoints of members that run already, without TLS. */
  readonly adopt?: readonly string[];
  /** Lines of `controlPlane`, and keys of `provider`. */
  readonly controlPlane?: string;
  readonly provider?: string;
  readonly policy?: string;
  /** Keys of `backup`; absent without it. */
  readonly backup?: string;
  /** Keys of `kubernetes`; absent without it. */
  readonly kubernetes?: string;
};

export function hostsSpecText(set: HostSet, spec: HostsSpec): string {
  const host = ([name, { ipv4, hostKey }]: readonly [string, TestHost]): string =>
    `{ name: ${name}, address: ${ipv4}, ssh: { hostKey: ${hostKey} } }`;
  const line = (each: readonly [string, TestHost]): string => `      - ${host(each)}\n`;
  const {
    balancer,
    workers = [],
    controlPlane = "",
    provider = "",
    policy = "{}",
    adopt = [],
    kubernetes,
    backup = "",
  } = spec;
  const place =
    spec.virtual === undefined
      ? `address: ${balancer.ipv4}, ssh: { hostKey: ${balancer.hostKey} }`
      : `vip: ${spec.virtual.address}, hosts: [${spec.virtual.hosts.map(host).join(", ")}]${spec.virtual.more ?? ""}`;
  const adopted =
    adopt.length === 0 ? "" : `    tls: { enabled: false }\n    adopt: { endpoints: [${adopt.join(", ")}] }\n`;
  return `apiVersion: haplan.dev/v1
kind: Cluster
metadata:
  name: ${spec.name}
spec:
  provider: { type: ssh, user: admin, identityFile: ${set.keyFile}${provider} }
  controlPlane:
    engine: ${spec.engine}
${adopted}${controlPlane}    masters:
${spec.masters.map(line).join("")}  workers:${workers.length === 0 ? " []" : ""}
${workers.map(line).join("")}  loadBalancer: { type: ${spec.balancerType}, ports: [${spec.balancerPort ?? 2379}], ${place} }
  policy: ${policy}
${backup === "" ? "" : `  backup: { ${backup} }\n`}${kubernetes === undefined ? "" : `  kubernetes: { ${kubernetes} }\n`}`;
}

export class ClusterOnHosts extends ClusterFixture {
  readonly #set: HostSet;

  /** `spec` is one of `HostsSpec`, or the text of one. */
  constructor(set: HostSet, spec: HostsSpec | string) {
    super(typeof spec === "string" ? spec : hostsSpecText(set, spec));
    this.#set = set;
  }

  write(spec: HostsSpec): void {
    this.writeSpec(hostsSpecText(this.#set, spec));
  }

  /** As a process of its own: a writer of this process is not held up by it. @throws Error with what it printed when it fails */
  async run(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.try(...args);
    if (code === 0) return stdout;
    throw new Error(`haplan ${args.join(" ")} ended with ${code}:\n${stdout}\n${stderr}`);
  }

  async try(...args: string[]): Promise<ProgramRun> {
    return await this.start(args, { timeoutMs: 300_000 }).end;
  }

  /** What `script` prints on the host, as root. */
  async on(host: TestHost, script: string): Promise<string> {
    return await runOnTestHost(this.#set, host, script);
  }
}

export async function runOnTestHost(set: HostSet, { ipv4 }: TestHost, script: string): Promise<string> {
  const options = ["-o", "BatchMode=yes", "-o", `UserKnownHostsFile=${set.knownHostsFile}`, "-i", set.keyFile];
  return (await execa("ssh", [...options, `root@${ipv4}`, script], { reject: false })).stdout;
}

/** Files, users, groups, packages and units of a host: what destroy has to leave as it was. */
export async function contentsOf(set: HostSet, host: TestHost): Promise<string> {
  const pruned = [
    "/proc",
    "/sys",
    "/run",
    "/dev",
    "/tmp",
    "/root",
    "/var/log",
    "/var/lib/systemd",
    "/var/lib/sudo",
    "/home/admin/.sudo_as_admin_successful",
  ];
  const find = `find / -xdev ${pruned.map((path) => `-path ${path} -prune -o `).join("")}-printf "%p %u %g %m %y\\n"`;
  const rest = "cat /etc/passwd /etc/group; dpkg-query -W; systemctl list-unit-files --no-legend --no-pager";
  return (await runOnTestHost(set, host, `${find}; ${rest}`)).split("\n").sort().join("\n");
}
