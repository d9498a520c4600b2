/** The spec of the provider `local`: every machine is on this computer, at a loopback address. */
import { isIPv4 } from "node:net";
import { findingAt, type SpecFinding } from "../../spec/finding.ts";
import type { ProviderSchema } from "../../spec/provider-schema.ts";
import { findSharedAddresses } from "../../spec/rules/distinct-addresses.ts";
import type { SpecRule } from "../../spec/rules/rule.ts";
import type { LocatedValue } from "../../spec/schema/located.ts";
import { artifactShape, checkArtifact } from "../artifact-schema.ts";

const checkAddresses: SpecRule = ({ hosts }) => {
  const malformed = hosts.flatMap(({ address }) =>
    address === null || address.value === "" || isLoopback(address.value) ? [] : [badAddress(address)],
  );
  return [...malformed, ...findSharedAddresses(hosts.filter(({ address }) => isLoopback(address?.value ?? "")))];
};

function isLoopback(address: string): boolean {
  return isIPv4(address) && address.startsWith("127.") && address !== "127.255.255.255";
}

function badAddress({ pointer, value }: LocatedValue<string>): SpecFinding {
  const hasPort = /^[^:]+:\d+$/.test(value);
  return findingAt(pointer, {
    code: "spec/bad-address",
    summary: `${JSON.stringify(value)} is not an address that provider local can use`,
    detail: hasPort
      ? "Write the address without its port; ports are set by clientPort, peerPort and loadBalancer.ports."
      : "Provider local runs every machine on this computer, each on its own loopback address. Write one of 127.0.0.0/8, such as 127.0.1.1.",
  });
}

/** Machines share this computer, and kubeadm needs one for itself. */
const checkBootstrap: SpecRule = ({ kubernetes }) => {
  const bootstrap = kubernetes?.entries.bootstrap;
  if (bootstrap?.value !== true) return [];
  return [
    findingAt(bootstrap.pointer, {
      code: "spec/kubernetes-bootstrap",
      summary: "kubeadm cannot run on machines of provider local",
      detail: "All of them are this computer. Write `provider: { type: ssh }`, or omit `bootstrap`.",
    }),
  ];
};

/** What is on this computer needs no upload. */
const checkEtcdArchive: SpecRule = ({ controlPlane }) => {
  const archive = controlPlane?.entries.etcd?.entries.archive ?? null;
  if (archive === null) return [];
  const summary = "Provider local uploads no etcd";
  const detail = "Unpack the archive on this computer, and write the path of its etcd as `binary`.";
  return [findingAt(archive.pointer, { code: "spec/etcd-archive", summary, detail })];
};

export const localSchema: ProviderSchema = {
  type: "local",
  description: "local: each machine is a directory with processes on this computer",
  settings: {
    artifact: {
      ...artifactShape,
      description: "the version of haplan's programs that units run, as `haplan artifact` built it",
      absent: "that of the installed haplan; another build of the same version is not noticed",
    },
  },
  hostKeys: {},
  loadBalancerKeys: {},
  loadBalancerTypes: ["embedded", "haproxy"],
  address: {
    description: "an IP address without port; with provider local one of 127.0.0.0/8",
    example: "127.0.1.1",
  },
  deriveMasters: {
    description:
      "the masters; with provider local they may be omitted and are then m1, m2, ... at 127.0.1.1, 127.0.1.2, ...",
    derive: (members) =>
      Array.from({ length: members }, (_, index) => ({ name: `m${index + 1}`, address: `127.0.1.${index + 1}` })),
  },
  hasBalancerHosts: false,
  loadBalancerAddress: "127.0.1.100",
  rules: [checkAddresses, checkEtcdArchive, checkBootstrap, checkArtifact],
};
