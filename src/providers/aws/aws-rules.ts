/** What is checked of a spec whose machines are EC2 instances, before any call to AWS. */
import { isIPv4, isIPv6 } from "node:net";
import type { SpecDraft } from "../../spec/draft.ts";
import { findingAt, type SpecFinding } from "../../spec/finding.ts";
import { findSharedAddresses } from "../../spec/rules/distinct-addresses.ts";
import type { SpecRule } from "../../spec/rules/rule.ts";
import type { AnyEntries, LocatedValue } from "../../spec/schema/located.ts";
import { metricsPort } from "../../units/health-port.ts";
import { checkHiddenPaths, checkHostKeys, checkOptions, sshOf } from "../ssh/ssh-rules.ts";

const machinesOf = ({ hosts }: SpecDraft): SpecDraft["hosts"] => hosts.filter(({ kind }) => kind !== "load balancer");

/** The address is fixed when the instance is created: a plan knows it, and a replaced master keeps it. */
const checkAddresses: SpecRule = (draft) => {
  const malformed = machinesOf(draft).flatMap(({ address }): SpecFinding[] => {
    if (address === null || address.value === "" || isIPv4(address.value)) return [];
    const summary = `${JSON.stringify(address.value)} is not a private IPv4 address`;
    const own = "Write an unused address of one of the subnets, such as 10.0.1.10, without port.";
    const detail = isIPv6(address.value) ? `With provider aws, haplan uses IPv4 only. ${own}` : own;
    return [findingAt(address.pointer, { code: "spec/bad-address", summary, detail })];
  });
  return [...malformed, ...findSharedAddresses(machinesOf(draft))];
};

const checkBalancerAddress: SpecRule = ({ loadBalancer }) => {
  if (loadBalancer === null || !loadBalancer.written.includes("address")) return [];
  const { pointer } = loadBalancer.entries.address ?? loadBalancer;
  const summary = "AWS chooses the address of the load balancer";
  const detail =
    "Remove `address`: the name in the DNS is known after apply. Write further names for clients in controlPlane.tls.extraNames.";
  return [findingAt(pointer, { code: "spec/balancer-address", summary, detail })];
};

const checkRanges: SpecRule = ({ provider }) =>
  ["allowFrom", "clientsFrom"].flatMap((key) =>
    textsOf(provider?.entries ?? {}, key).flatMap(({ pointer, value }): SpecFinding[] => {
      const range = rangeOf(value);
      if (range === "valid") return [];
      const summary = `${JSON.stringify(value)} is not a range of IPv4 addresses`;
      const detail =
        range === null
          ? "Write an address and the length of its prefix, such as 10.0.0.0/8, or 203.0.113.7/32 for one address."
          : `AWS ignores the bits behind the prefix: write ${range}.`;
      return [findingAt(pointer, { code: "spec/bad-range", summary, detail })];
    }),
  );

/** `valid`, the range that is meant, or null. */
function rangeOf(text: string): string | null {
  const [address = "", length = ""] = text.split("/");
  const bits = Number(length);
  if (!isIPv4(address) || bits > 32) return null;
  const value = address.split(".").reduce((sum, octet) => sum * 256 + Number(octet), 0);
  const size = 2 ** (32 - bits);
  const first = Math.floor(value / size) * size;
  if (first === value) return "valid";
  return `${[24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256).join(".")}/${bits}`;
}

/** https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html#gp3-ebs-volume-type */
const checkVolume: SpecRule = ({ provider }) => {
  const volume = provider?.entries["volume"] ?? null;
  if (volume === null || !("entries" in volume)) return [];
  const [size, iops, throughput] = ["sizeGiB", "iops", "throughputMiBs"].map((key) => numberOf(volume.entries, key));
  if (size == null || iops == null || throughput == null) return [];
  const found: SpecFinding[] = [];
  const say = (at: LocatedValue<number>, summary: string, detail: string): void =>
    void found.push(findingAt(at.pointer, { code: "spec/volume", summary, detail }));
  if (iops.value > 3000 && iops.value > size.value * 500) {
    say(
      iops,
      `A volume of ${size.value} GiB has at most ${Math.max(3000, size.value * 500)} operations a second`,
      "gp3 allows 500 operations a second for each GiB: write less, or a larger `sizeGiB`.",
    );
  }
  if (throughput.value > iops.value / 4) {
    say(
      throughput,
      `A volume of ${iops.value} operations a second has at most ${Math.floor(iops.value / 4)} MiB a second`,
      "gp3 allows 0.25 MiB for each operation: write less, or more `iops`.",
    );
  }
  return found;
};

const checkPorts: SpecRule = ({ controlPlane }) =>
  (["clientPort", "peerPort"] as const).flatMap((key): SpecFinding[] => {
    const port = controlPlane?.entries[key];
    if (port == null || port.value !== metricsPort) return [];
    const summary = `Port ${metricsPort} is that of the health checks`;
    const detail = "The network load balancer asks each master there. Write another port.";
    return [findingAt(port.pointer, { code: "spec/duplicate-listener", summary, detail })];
  });

/** ssh connects in one way, and the spec says which. */
const checkSessionManager: SpecRule = ({ provider, hosts }) => {
  const sessionManager = provider?.entries["sessionManager"];
  if (sessionManager == null || !("value" in sessionManager) || sessionManager.value !== true) return [];
  const summary = "Session Manager needs no jump host";
  const detail = "Remove `jump`, or `sessionManager`: ssh connects through the one or the other.";
  const jumps = [provider?.entries["jump"], ...hosts.map(({ entries }) => sshOf(entries)["jump"])];
  return jumps.flatMap((jump): SpecFinding[] =>
    jump == null ? [] : [findingAt(jump.pointer, { code: "spec/session-jump", summary, detail })],
  );
};

const checkKubernetes: SpecRule = ({ kubernetes }) => {
  if (kubernetes === null) return [];
  const summary = "Provider aws does not run kubeadm yet";
  const detail =
    "Its security groups and its load balancer serve the members of the control plane alone. Omit `kubernetes`, or use provider ssh for instances that exist.";
  return [findingAt(kubernetes.pointer, { code: "spec/kubernetes-provider", summary, detail })];
};

/** A tag of AWS's own, or of haplan's, cannot be set. */
const checkTags: SpecRule = ({ provider }) =>
  textsOf(provider?.entries ?? {}, "tags").flatMap(({ pointer, value }): SpecFinding[] => {
    if (!/^(aws:|haplan:)/i.test(value) && !value.startsWith("Name=")) return [];
    const summary = `${JSON.stringify(value)} is a tag that cannot be set here`;
    const detail =
      "Tags that begin with `aws:` are AWS's own; `haplan:...` and `Name` are set by haplan. Write another key.";
    return [findingAt(pointer, { code: "spec/reserved-tag", summary, detail })];
  });

/** AWS's keys are case sensitive: `Team` and `team` are two tags. */
const checkTagKeys: SpecRule = ({ provider }) => {
  const first = new Map<string, string>();
  return textsOf(provider?.entries ?? {}, "tags").flatMap(({ pointer, value }): SpecFinding[] => {
    const [key = ""] = value.split("=");
    const other = first.get(key);
    if (other === undefined) first.set(key, value);
    if (other === undefined || other === value) return [];
    const summary = `The tag ${JSON.stringify(key)} is written twice: ${JSON.stringify(other)} and ${JSON.stringify(value)}`;
    const detail = "A resource has one value for each key. Remove one of the two.";
    return [findingAt(pointer, { code: "spec/duplicate-tag", summary, detail })];
  });
};

function textsOf(entries: AnyEntries, key: string): readonly LocatedValue<string>[] {
  const list = entries[key] ?? null;
  if (list === null || !("items" in list)) return [];
  return list.items.flatMap((item) =>
    item !== null && "value" in item && typeof item.value === "string"
      ? [{ pointer: item.pointer, value: item.value }]
      : [],
  );
}

function numberOf(entries: AnyEntries, key: string): LocatedValue<number> | null {
  const found = entries[key] ?? null;
  return found !== null && "value" in found && typeof found.value === "number"
    ? { pointer: found.pointer, value: found.value }
    : null;
}

export const awsRules: readonly SpecRule[] = [
  checkAddresses,
  checkBalancerAddress,
  checkRanges,
  checkVolume,
  checkPorts,
  checkSessionManager,
  checkKubernetes,
  checkTags,
  checkTagKeys,
  checkHostKeys,
  checkOptions,
  checkHiddenPaths,
];
