/** What is checked of a spec whose machines are hosts over ssh, before any of them is reached. */
import { isIPv4 } from "node:net";
import type { HostDraft, SpecDraft } from "../../spec/draft.ts";
import { findingAt, formatPointer, type SpecFinding } from "../../spec/finding.ts";
import { findSharedAddresses } from "../../spec/rules/distinct-addresses.ts";
import { memberPorts } from "../../spec/rules/member-ports.ts";
import type { SpecRule } from "../../spec/rules/rule.ts";
import type { AnyEntries, LocatedValue } from "../../spec/schema/located.ts";
import { bindAddress } from "../../units/addresses.ts";
import { hidingDir } from "../path-checks.ts";

/** An address with a port, or with a scheme, is no address. */
const checkAddresses: SpecRule = ({ hosts }) => {
  const malformed = hosts.flatMap(({ address }): SpecFinding[] => {
    if (address === null || !/^\[|\/|^[^:]+:\d+$/.test(address.value)) return [];
    const summary = `${JSON.stringify(address.value)} is not an IP address or host name`;
    const detail =
      "Write the address alone; ports are set by clientPort, peerPort and loadBalancer.ports, that of sshd by ssh.port.";
    return [findingAt(address.pointer, { code: "spec/bad-address", summary, detail })];
  });
  return [...malformed, ...findSharedAddresses(hosts.filter(({ kind }) => kind !== "load balancer"))];
};

/** Members on other hosts, and the load balancer, would reach themselves there. */
const checkReachableByOthers: SpecRule = ({ hosts }) =>
  hosts.flatMap(({ kind, address }): SpecFinding[] => {
    const isMember = kind === "master" || kind === "spare host";
    if (!isMember || address === null || !leadsToItself(address.value)) return [];
    const summary = `${JSON.stringify(address.value)} leads each host to itself`;
    const detail =
      "Write the address at which the other hosts reach this one, such as 10.0.0.11 or fd00::11; how ssh reaches it from here is ssh.host.";
    return [findingAt(address.pointer, { code: "spec/bad-address", summary, detail })];
  });

const leadsToItself = (address: string): boolean =>
  address.toLowerCase() === "localhost" || address === "::1" || (isIPv4(address) && address.startsWith("127."));

type Listener = { readonly what: string; readonly host: string; readonly bind: string; readonly port: number };

/** Masters and load balancer may share a host if they listen on different ports there. */
const checkListeners: SpecRule = (draft) => {
  // Several of them listen at a virtual address; the rule of their hosts knows of the exceptions.
  if (draft.loadBalancer?.written.includes("hosts")) return [];
  const masters = masterListeners(draft);
  const balancer = draft.hosts.find(({ kind }) => kind === "load balancer");
  const place = balancer === undefined ? null : placeOf(balancer);
  if (place === null) return [];
  return balancerPorts(draft).flatMap(({ pointer, value: port }): SpecFinding[] => {
    const taken = masters.find((each) => each.port === port && meet(each, place));
    if (taken === undefined) return [];
    const summary = `The load balancer and the ${taken.what} would both listen on port ${port} of ${place.host}`;
    const detail = "Give the load balancer another port in loadBalancer.ports, or a host of its own.";
    return [findingAt(pointer, { code: "spec/duplicate-listener", summary, detail })];
  });
};

function masterListeners({ controlPlane, hosts }: SpecDraft): readonly Listener[] {
  if (controlPlane === null) return [];
  const ports = memberPorts(controlPlane).map(({ value }) => value);
  return hosts.flatMap((host) => {
    const place = host.kind === "master" ? placeOf(host) : null;
    if (place === null) return [];
    const what = `master at ${formatPointer(host.address!.pointer).replace(/\.address$/, "")}`;
    return ports.map((port) => ({ what, port, ...place }));
  });
}

/** Without `ports` it listens on the masters' clientPort: the finding is at its address then. */
function balancerPorts({ controlPlane, loadBalancer }: SpecDraft): readonly LocatedValue<number>[] {
  const written = loadBalancer?.entries.ports?.items.filter((port) => port !== null) ?? [];
  const pointer = loadBalancer?.entries.address?.pointer;
  if (written.length > 0 || pointer === undefined || controlPlane === null) return written;
  return [{ pointer, value: controlPlane.entries.clientPort.value }];
}

type Place = Pick<Listener, "host" | "bind">;

function placeOf({ address, entries }: HostDraft): Place | null {
  if (address === null || address.value === "") return null;
  return { host: textOf(sshOf(entries), "host")?.value ?? address.value, bind: bindAddress(address.value) };
}

/** Listeners on one host meet unless each has an address of its own. Two ways to name one host are not compared. */
function meet(one: Place, other: Place): boolean {
  if (one.bind === other.bind && one.bind !== anyAddress) return true;
  return one.host === other.host && [one.bind, other.bind].includes(anyAddress);
}

const anyAddress = bindAddress("name");

/** ssh reads such a key and ignores it, or rejects every host because of it. */
export const checkHostKeys: SpecRule = ({ hosts }) =>
  hosts.flatMap(({ entries }): SpecFinding[] => {
    const key = textOf(sshOf(entries), "hostKey");
    if (key === null || !/^\S+ AAAA\S+$/.test(key.value)) return [];
    const [type = "", blob = ""] = key.value.split(" ");
    if (typeInside(blob) === type) return [];
    const summary = "hostKey is not a public key";
    const detail = `Write the first two words of the host's /etc/ssh/ssh_host_ed25519_key.pub, such as ssh-ed25519 AAAAC3Nza...; these are not the words of one key: they were cut, mistyped, or are a fingerprint.`;
    return [findingAt(key.pointer, { code: "spec/bad-host-key", summary, detail })];
  });

/** A key begins with the length of its type's name, and with that name (RFC 4253 §6.6). */
function typeInside(blob: string): string | null {
  const bytes = Buffer.from(blob, "base64");
  if (bytes.toString("base64") !== blob || bytes.length < 4) return null;
  const length = bytes.readUInt32BE(0);
  // At least another length and its bytes follow.
  return bytes.length < 4 + length + 4 + 32 ? null : bytes.subarray(4, 4 + length).toString("latin1");
}

/** Options that haplan sets, or that would keep its commands from running. Names of options have no case. */
const ownOptions: { readonly [name: string]: string } = {
  batchmode: "haplan sets it: no command may ask a question",
  stricthostkeychecking: "haplan sets it: an unknown host key is never accepted. Write the key as ssh.hostKey",
  controlmaster: "haplan sets it: a shared connection of yours is used, but none is left open",
  connecttimeout: "haplan sets it",
  serveraliveinterval: "haplan sets it",
  serveralivecountmax: "haplan sets it",
  hostkeyalias: "a pinned key has an alias of its own. Write it for the host in ssh's configuration",
  user: "write it as user",
  port: "write it as port",
  identityfile: "write it as identityFile",
  proxyjump: "write it as jump",
  hostname: "all hosts would be one. Write it as ssh.host of each machine",
  remotecommand: "haplan runs commands of its own",
  requesttty: "haplan's commands need a connection without a terminal",
  sessiontype: "haplan runs commands of its own",
  forkafterauthentication: "haplan waits for its commands",
  stdinnull: "haplan's commands read their standard input",
  loglevel: "haplan reads what ssh reports of a host's key",
};

export const checkOptions: SpecRule = ({ provider }) => {
  const options = provider?.entries["sshOptions"] ?? null;
  if (options === null || !("items" in options)) return [];
  return options.items.flatMap((option): SpecFinding[] => {
    if (option === null || !("value" in option)) return [];
    const name = String(option.value).split("=")[0]!;
    const why = Object.hasOwn(ownOptions, name.toLowerCase()) ? ownOptions[name.toLowerCase()] : undefined;
    if (why === undefined) return [];
    const summary = `sshOptions cannot set ${name}`;
    return [findingAt(option.pointer, { code: "spec/reserved-ssh-option", summary, detail: `Remove it: ${why}.` })];
  });
};

/** Paths on the hosts that a unit cannot use, whatever is there. */
export const checkHiddenPaths: SpecRule = ({ controlPlane, backup }) => {
  const schedule = backup?.entries.schedule?.entries;
  const files = [schedule?.directory, schedule?.keyFile, schedule?.credentialsFile];
  const used = [controlPlane?.entries.etcd?.entries.binary, ...files];
  return used.flatMap((path): SpecFinding[] => {
    const directory = path === null || path === undefined ? null : hidingDir(path.value);
    if (path === null || path === undefined || directory === null) return [];
    const summary = `Members do not see ${path.value}: their units hide ${directory}`;
    const detail =
      "Write a path below a directory that every user may enter, such as /opt for a program, /var/backups for backups and /etc for a key.";
    return [findingAt(path.pointer, { code: "spec/hidden-path", summary, detail })];
  });
};

/** The keys of a host's `ssh`. */
export function sshOf(entries: AnyEntries): AnyEntries {
  const ssh = entries["ssh"] ?? null;
  return ssh !== null && "entries" in ssh ? ssh.entries : {};
}

function textOf(entries: AnyEntries, key: string): LocatedValue<string> | null {
  const found = entries[key] ?? null;
  return found !== null && "value" in found && typeof found.value === "string"
    ? { pointer: found.pointer, value: found.value }
    : null;
}

export const sshRules: readonly SpecRule[] = [
  checkAddresses,
  checkReachableByOthers,
  checkListeners,
  checkHostKeys,
  checkOptions,
  checkHiddenPaths,
];
