/** The pure half of the provider `ssh`: what a plan shows of a host, and how each host is reached. */
import type { Json } from "../../base/json.ts";
import type { ProviderModel } from "../../plan/provider-model.ts";
import type { Attributes } from "../../plan/resource.ts";
import type { ClusterSpec, ProviderSettings } from "../../spec/cluster-spec.ts";
import type { MachineHost } from "../../spec/machine-hosts.ts";
import { loadBalancerOnMachines } from "../load-balancer-hosts.ts";
import type { CallLimits } from "../machine-calls.ts";
import type { SshTarget } from "./ssh-target.ts";

export const sshModel: ProviderModel = {
  describeMachine: (spec, host) => ({
    attributes: { ...sshAttributes(spec.provider, host), ...packagesOf(spec, host) },
    unknown: ["machine_id"],
    // Another host is another machine. How the same one is reached is changed in place.
    replacedBy: ["ssh_host"],
  }),
  describeLoadBalancer: loadBalancerOnMachines,
};

/** The first upload of an artifact over a slow connection takes minutes; ssh itself finds a dead one in seconds. */
const callTimeoutMs = 300_000;

export function sshLimits(spec: ClusterSpec): CallLimits {
  return { machinesAtOnce: Number(spec.provider["connections"] ?? 10), callTimeoutMs };
}

/** The programs of other projects that haplan installs on a host, by the host's package manager. */
function packagesOf(spec: ClusterSpec, host: MachineHost): Attributes {
  if (spec.provider["packages"] !== "install") return {};
  const programs = systemPrograms(spec, host);
  return programs.length === 0 ? {} : { packages: programs };
}

/** What the units of a machine need that neither haplan brings nor the spec has a path of. */
function systemPrograms({ controlPlane, loadBalancer }: ClusterSpec, { role }: MachineHost): readonly string[] {
  if (role === "master") return controlPlane.engine === "etcd" && controlPlane.etcd === undefined ? ["etcd"] : [];
  if (role !== "loadBalancer") return [];
  const { type, virtual } = loadBalancer;
  return [...(type === "haproxy" ? ["haproxy"] : []), ...(virtual === undefined ? [] : ["keepalived"])];
}

/** How a host of the spec is reached: its own settings, then those for all hosts. */
export function sshAttributes(provider: ProviderSettings, { address, settings }: MachineHost): Attributes {
  const own = ownKeys(settings?.["ssh"]);
  const each = (key: string): Json | undefined => own[key] ?? provider[key];
  return Object.fromEntries(
    Object.entries({
      ssh_host: own["host"] ?? address,
      ssh_user: each("user"),
      ssh_port: each("port"),
      ssh_identity_file: each("identityFile"),
      ssh_jump: each("jump"),
      ssh_host_key: own["hostKey"],
    }).filter((entry): entry is [string, Json] => entry[1] !== undefined),
  );
}

function ownKeys(value: Json | undefined): Attributes {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Attributes) : {};
}

export type SshRoute = {
  /** As `ssh -o` takes them, the same for all hosts. */
  readonly options: readonly string[];
  /** The command through which a host is reached; null for a connection of ssh's own. */
  readonly proxyCommandOf: (host: string) => string | null;
};

/** The host that a machine's attributes describe. */
export function targetOf(attributes: Attributes, { options, proxyCommandOf }: SshRoute): SshTarget | null {
  const text = (name: string): string | null => {
    const value = attributes[name];
    return typeof value === "string" ? value : null;
  };
  const host = text("ssh_host");
  if (host === null) return null;
  const port = attributes["ssh_port"];
  return {
    host,
    user: text("ssh_user"),
    port: typeof port === "number" ? port : null,
    identityFile: text("ssh_identity_file"),
    jump: text("ssh_jump"),
    proxyCommand: proxyCommandOf(host),
    options,
    hostKey: text("ssh_host_key"),
  };
}
