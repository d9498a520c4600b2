/**
 * A spec on its way: values that have the right type, with the place they came from. Rules look at drafts, so that
 * they can judge the good parts of a file whose other parts are wrong, and everything is reported in one go.
 */
import { pointerInto } from "./finding.ts";
import { isSupportedMemberCount } from "./quorum-table.ts";
import type { YamlValue } from "./yaml-value.ts";

export type Draft<T> = { readonly pointer: string; readonly value: T };

/** A machine that somebody asked for; the load balancer's name is given by haplan. */
type HostDraft = {
  readonly kind: "master" | "worker" | "load balancer";
  readonly name: Draft<string> | null;
  readonly address: Draft<string> | null;
};

export type SpecDraft = {
  /** Null when there is no such mapping. */
  readonly controlPlane: { readonly pointer: string; readonly keys: readonly string[] } | null;
  readonly members: Draft<number> | null;
  /** Null when the file lists no masters. */
  readonly masters: Draft<readonly HostDraft[]> | null;
  /** Masters (listed or derived), load balancer, workers. */
  readonly hosts: readonly HostDraft[];
  readonly clientPort: Draft<number>;
  readonly peerPort: Draft<number>;
  readonly electionTimeoutMs: Draft<number>;
  readonly heartbeatIntervalMs: Draft<number>;
  readonly loadBalancerPorts: readonly Draft<number>[];
  /** Client URLs of members that are taken over; empty when none are. */
  readonly adoptEndpoints: readonly Draft<string>[];
  /** Masters that had other names, as far as both names are written. */
  readonly moved: readonly { readonly from: Draft<string>; readonly to: Draft<string> }[];
  /** Null when there is no such section. */
  readonly adoptTls: AdoptTlsDraft | null;
  readonly tlsEnabled: Draft<boolean>;
  readonly state: StateDraft | null;
};

/** Which files the section `adopt.tls` names. */
export type AdoptTlsDraft = {
  readonly pointer: string;
  readonly keys: readonly string[];
  readonly certificates: readonly {
    readonly pointer: string;
    readonly name: Draft<string> | null;
    readonly keys: readonly string[];
  }[];
};

/** What the section `state` says about its backend. */
export type StateDraft = {
  readonly pointer: string;
  readonly backend: Draft<string>;
  /** Which of the backends' own settings are there. */
  readonly settings: readonly Draft<string>[];
  readonly etcdEndpoints: readonly Draft<string>[];
  /** Keys of the section `etcd`. */
  readonly etcdKeys: readonly string[];
};

export const specDefaults = {
  clientPort: 2379,
  peerPort: 2380,
  electionTimeoutMs: 1000,
  heartbeatIntervalMs: 100,
  loadBalancerAddress: "127.0.1.100",
  maxLearnerLagEntries: 1000,
  healthSamples: 3,
  joinTimeoutMs: 300_000,
  renewBeforeDays: 90,
  etcdStatePrefix: "/haplan/state",
  s3StatePrefix: "haplan",
} as const;

/** The load balancer runs on a machine of its own, and this is its name. */
const loadBalancerName = "load-balancer";

/** Names that no master or worker may have, and what has them: a name is also that of a certificate. */
export const reservedNames: Readonly<Record<string, string>> = {
  [loadBalancerName]: "the load balancer",
  admin: "the certificate that haplan's users carry",
  ca: "the certificate authority",
  root: "the user of etcd that may do everything, which its certificate would log in",
};

/** Names and addresses of masters that a local spec leaves out. */
export function deriveMasters(members: number): readonly { readonly name: string; readonly address: string }[] {
  return Array.from({ length: members }, (_, index) => ({ name: `m${index + 1}`, address: `127.0.1.${index + 1}` }));
}

export function draftSpec(document: YamlValue): SpecDraft {
  const controlPlane = entry({ pointer: "", value: document }, "spec", "controlPlane");
  const loadBalancer = entry({ pointer: "", value: document }, "spec", "loadBalancer");
  const members = wholeNumber(entry(controlPlane, "members"));
  const listed = entry(controlPlane, "masters");
  const masters = Array.isArray(listed?.value) ? { pointer: listed.pointer, value: hosts("master", listed) } : null;
  const workers = entry({ pointer: "", value: document }, "spec", "workers");
  const numberOr = (key: "clientPort" | "peerPort" | "electionTimeoutMs" | "heartbeatIntervalMs"): Draft<number> =>
    wholeNumber(entry(controlPlane, key)) ?? { pointer: controlPlane?.pointer ?? "", value: specDefaults[key] };
  return {
    controlPlane: isMapping(controlPlane)
      ? { pointer: controlPlane.pointer, keys: Object.keys(controlPlane.value) }
      : null,
    members,
    masters,
    hosts: [
      ...(masters?.value ?? derivedHosts(members, listed)),
      {
        kind: "load balancer",
        name: null,
        address: text(entry(loadBalancer, "address")) ?? {
          pointer: loadBalancer?.pointer ?? "/spec",
          value: specDefaults.loadBalancerAddress,
        },
      },
      ...hosts("worker", workers),
    ],
    clientPort: numberOr("clientPort"),
    peerPort: numberOr("peerPort"),
    electionTimeoutMs: numberOr("electionTimeoutMs"),
    heartbeatIntervalMs: numberOr("heartbeatIntervalMs"),
    loadBalancerPorts: items(entry(loadBalancer, "ports")).flatMap((port) => wholeNumber(port) ?? []),
    adoptEndpoints: items(entry(controlPlane, "adopt", "endpoints")).flatMap((endpoint) => text(endpoint) ?? []),
    moved: items(entry(controlPlane, "moved")).flatMap((item) => {
      const [from, to] = [text(entry(item, "from")), text(entry(item, "to"))];
      return from === null || to === null ? [] : [{ from, to }];
    }),
    adoptTls: draftAdoptTls(entry(controlPlane, "adopt", "tls")),
    tlsEnabled: draftTls(controlPlane),
    state: draftState(entry({ pointer: "", value: document }, "spec", "state")),
  };
}

function draftAdoptTls(section: Draft<YamlValue> | null): AdoptTlsDraft | null {
  if (!isMapping(section)) return null;
  const certificates = items(entry(section, "certificates")).flatMap((item) =>
    isMapping(item) ? [{ pointer: item.pointer, name: text(entry(item, "name")), keys: Object.keys(item.value) }] : [],
  );
  return { pointer: section.pointer, keys: Object.keys(section.value), certificates };
}

function draftTls(controlPlane: Draft<YamlValue> | null): Draft<boolean> {
  const enabled = entry(controlPlane, "tls", "enabled");
  if (typeof enabled?.value === "boolean") return { pointer: enabled.pointer, value: enabled.value };
  return { pointer: controlPlane?.pointer ?? "/spec", value: true };
}

function draftState(state: Draft<YamlValue> | null): StateDraft | null {
  if (!isMapping(state)) return null;
  const etcd = entry(state, "etcd");
  return {
    pointer: state.pointer,
    backend: text(entry(state, "backend")) ?? { pointer: state.pointer, value: "local" },
    settings: ["etcd", "s3"].flatMap((name) => {
      const section = entry(state, name);
      return section === null ? [] : [{ pointer: section.pointer, value: name }];
    }),
    etcdEndpoints: items(entry(etcd, "endpoints")).flatMap((endpoint) => text(endpoint) ?? []),
    etcdKeys: isMapping(etcd) ? Object.keys(etcd.value) : [],
  };
}

function derivedHosts(members: Draft<number> | null, listed: Draft<YamlValue> | null): readonly HostDraft[] {
  if (members === null || listed !== null || !isSupportedMemberCount(members.value)) return [];
  const { pointer } = members;
  return deriveMasters(members.value).map((master) => ({
    kind: "master",
    name: { pointer, value: master.name },
    address: { pointer, value: master.address },
  }));
}

function hosts(kind: "master" | "worker", list: Draft<YamlValue> | null): readonly HostDraft[] {
  return items(list).map((item) => ({ kind, name: text(entry(item, "name")), address: text(entry(item, "address")) }));
}

function entry(from: Draft<YamlValue> | null, ...keys: readonly string[]): Draft<YamlValue> | null {
  let at = from;
  for (const key of keys) {
    if (!isMapping(at) || !Object.hasOwn(at.value, key)) return null;
    at = { pointer: pointerInto(at.pointer, key), value: at.value[key] ?? null };
  }
  return at;
}

function isMapping(draft: Draft<YamlValue> | null): draft is Draft<Readonly<Record<string, YamlValue>>> {
  return typeof draft?.value === "object" && draft.value !== null && !Array.isArray(draft.value);
}

function items(list: Draft<YamlValue> | null): readonly Draft<YamlValue>[] {
  if (list === null || !Array.isArray(list.value)) return [];
  return list.value.map((value: YamlValue, index) => ({ pointer: pointerInto(list.pointer, index), value }));
}

function text(draft: Draft<YamlValue> | null): Draft<string> | null {
  return typeof draft?.value === "string" ? { pointer: draft.pointer, value: draft.value } : null;
}

function wholeNumber(draft: Draft<YamlValue> | null): Draft<number> | null {
  return Number.isInteger(draft?.value) ? { pointer: draft!.pointer, value: draft!.value as number } : null;
}
