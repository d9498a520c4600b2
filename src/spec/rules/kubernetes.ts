/** Kubernetes: a version that reads the configuration, ports that are free, and subnets without the hosts' addresses. */
import { BlockList, isIP } from "node:net";
import type { HostDraft, LocatedPart, SpecDraft } from "../draft.ts";
import { findingAt, formatPointer, type SpecFinding } from "../finding.ts";
import type { LocatedValue } from "../schema/located.ts";
import type { SpecRule } from "./rule.ts";

type KubernetesDraft = LocatedPart<"kubernetes">;

/** The first minor version of Kubernetes 1 whose kubeadm reads v1beta4. */
const firstMinor = 31;

export const checkKubernetes: SpecRule = (draft) => {
  const { kubernetes, controlPlane, hosts } = draft;
  if (kubernetes === null) return [];
  return [
    ...checkVersion(kubernetes),
    ...(controlPlane?.entries.adopt ? [adoptedMembers(kubernetes.pointer)] : []),
    ...checkPorts(kubernetes, draft),
    ...checkSubnets(kubernetes, hosts),
    ...checkFamily(kubernetes, draft),
  ];
};

function checkVersion({ entries: { version } }: KubernetesDraft): readonly SpecFinding[] {
  const [, minor] = /^v?1\.(\d+)\.\d+$/.exec(version?.value ?? "") ?? [];
  if (version === null || minor === undefined || Number(minor) >= firstMinor) return [];
  return [
    findingAt(version.pointer, {
      code: "spec/kubernetes-version",
      summary: `Kubernetes ${version.value} is too old`,
      detail: `haplan writes kubeadm's configuration as v1beta4, which kubeadm reads since 1.${firstMinor}.0. Write that version or a newer one.`,
    }),
  ];
}

function adoptedMembers(pointer: string): SpecFinding {
  return {
    place: { pointer, part: "key" },
    code: "spec/kubernetes-adopted",
    summary: "Kubernetes is configured for adopted members",
    detail:
      "haplan writes no files on the machines of members that it did not start. Remove `kubernetes`, or replace the adopted members first.",
  };
}

/** The API server listens on all addresses of its host. */
function checkPorts(kubernetes: KubernetesDraft, draft: SpecDraft): readonly SpecFinding[] {
  const { apiServerPort, endpointPort: written } = kubernetes.entries;
  const endpointPort = written ?? apiServerPort;
  const { controlPlane, loadBalancer, masters } = draft;
  const findings: SpecFinding[] = [];
  const clash = (at: LocatedValue<number>, summary: string, detail: string): void =>
    void findings.push(findingAt(at.pointer, { code: "spec/duplicate-port", summary, detail }));
  for (const name of ["clientPort", "peerPort"] as const) {
    const port = controlPlane?.entries[name];
    if (port?.value !== apiServerPort.value) continue;
    clash(apiServerPort, `apiServerPort and ${name} are both ${port.value}`, "Write two ports, such as 6443 and 2379.");
  }
  const listed = loadBalancer?.entries.ports?.items.map((port) => port?.value) ?? [
    controlPlane?.entries.clientPort.value,
  ];
  if (listed.includes(endpointPort.value)) {
    const detail =
      "Port 6443 of the load balancer leads to the API servers, and its other ports to the members. Remove it from loadBalancer.ports, or write another `endpointPort`.";
    clash(endpointPort, `The load balancer's port ${endpointPort.value} is for API servers and for members`, detail);
  }
  const balancers = draft.hosts.flatMap(({ kind, address }) =>
    kind === "load balancer" && address ? [address.value] : [],
  );
  const shared = masters?.hosts.find(({ address }) => address !== null && balancers.includes(address.value));
  if (shared?.address && endpointPort.value === apiServerPort.value) {
    const detail = `The API server of that master listens on port ${apiServerPort.value} itself. Write another \`endpointPort\`, such as 8443.`;
    clash(endpointPort, `The load balancer shares ${shared.address.value} with a master`, detail);
  }
  return findings;
}

type Subnet = {
  readonly text: string;
  readonly family: "ipv4" | "ipv6";
  readonly block: BlockList;
  readonly base: string;
};

function checkSubnets({ entries }: KubernetesDraft, hosts: readonly HostDraft[]): readonly SpecFinding[] {
  const lists = [entries.podSubnet, entries.serviceSubnet].filter((list) => list !== null);
  const read = lists.map((list) => ({ list, ...readSubnets(list) }));
  const findings = read.flatMap(({ finding }) => finding ?? []);
  if (findings.length > 0) return findings;
  const [first, second] = read;
  if (first !== undefined && second !== undefined) findings.push(...checkPair(first, second));
  for (const { list, subnets } of read) {
    for (const subnet of subnets) findings.push(...hostsInside(list, subnet, hosts));
  }
  return findings;
}

function readSubnets(list: LocatedValue<string>): {
  readonly subnets: readonly Subnet[];
  readonly finding: SpecFinding | null;
} {
  const wrong = (summary: string, detail: string): ReturnType<typeof readSubnets> => ({
    subnets: [],
    finding: findingAt(list.pointer, { code: "spec/subnet", summary, detail }),
  });
  const texts = list.value.split(",");
  const subnets: Subnet[] = [];
  for (const text of texts) {
    const subnet = readSubnet(text);
    if (subnet === null) {
      return wrong(
        `${JSON.stringify(text)} is not a subnet`,
        "Write an address and the length of its prefix, such as 10.244.0.0/16.",
      );
    }
    subnets.push(subnet);
  }
  if (subnets.length === 2 && subnets[0]!.family === subnets[1]!.family) {
    return wrong(
      `${list.value} are two subnets of one address family`,
      "Write one subnet, or one of IPv4 and one of IPv6.",
    );
  }
  return { subnets, finding: null };
}

function readSubnet(text: string): Subnet | null {
  const [base = "", prefix = ""] = text.split("/");
  const version = isIP(base);
  const bits = Number(prefix);
  if (version === 0 || !/^\d{1,3}$/.test(prefix) || bits > (version === 4 ? 32 : 128)) return null;
  const family = version === 4 ? "ipv4" : "ipv6";
  const block = new BlockList();
  block.addSubnet(base, bits, family);
  return { text, family, block, base };
}

type ReadList = { readonly list: LocatedValue<string>; readonly subnets: readonly Subnet[] };

function checkPair(pods: ReadList, services: ReadList): readonly SpecFinding[] {
  const findings: SpecFinding[] = [];
  for (const pod of pods.subnets) {
    const met = services.subnets.find((each) => overlap(pod, each));
    if (met === undefined) continue;
    findings.push(
      findingAt(pods.list.pointer, {
        code: "spec/subnet",
        summary: `The subnets ${pod.text} of pods and ${met.text} of services overlap`,
        detail: "Each address would be ambiguous. Write subnets that do not overlap.",
      }),
    );
  }
  const families = ({ subnets }: ReadList): string => subnets.map(({ family }) => family).join(",");
  const both = families(pods)
    .split(",")
    .every((family) => families(services).includes(family));
  if (!both && findings.length === 0) {
    findings.push(
      findingAt(pods.list.pointer, {
        code: "spec/subnet",
        summary: "Pods and services use different address families",
        detail: `Pods have ${pods.list.value}, services have ${services.list.value}. Write serviceSubnet with a subnet of each family of podSubnet.`,
      }),
    );
  }
  return findings;
}

/** Of two subnets one contains the other, or they have no address in common. */
function overlap(one: Subnet, other: Subnet): boolean {
  if (one.family !== other.family) return false;
  return one.block.check(other.base, other.family) || other.block.check(one.base, one.family);
}

function hostsInside(list: LocatedValue<string>, subnet: Subnet, hosts: readonly HostDraft[]): readonly SpecFinding[] {
  const inside = hosts.find(
    ({ address }) => isIP(address?.value ?? "") !== 0 && subnet.block.check(address!.value, familyOf(address!.value)),
  );
  if (!inside?.address) return [];
  return [
    findingAt(list.pointer, {
      code: "spec/subnet",
      summary: `The subnet ${subnet.text} contains the address ${inside.address.value} of the ${inside.kind} at ${formatPointer(inside.address.pointer)}`,
      detail: "The host would not be reachable from pods. Write a subnet that contains no address of a host.",
    }),
  ];
}

/** An API server refuses to start when the first family of its services is not that of its own address. */
function checkFamily({ entries: { serviceSubnet } }: KubernetesDraft, { masters }: SpecDraft): readonly SpecFinding[] {
  const first = readSubnet(serviceSubnet.value.split(",")[0] ?? "");
  const address = masters?.hosts.find(({ address: each }) => isIP(each?.value ?? "") !== 0)?.address;
  if (first === null || !address || familyOf(address.value) === first.family) return [];
  const example = first.family === "ipv4" ? "fd00:96::/112" : "10.96.0.0/12";
  return [
    findingAt(serviceSubnet.pointer, {
      code: "spec/subnet",
      summary: `Services have the subnet ${serviceSubnet.value}, but the masters' addresses are of another family: ${address.value}`,
      detail: `An API server needs services of its own address family. Write a serviceSubnet that begins with one, such as ${example}.`,
    }),
  ];
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 4 ? "ipv4" : "ipv6";
}
