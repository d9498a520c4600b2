/** How a host is reached over ssh, and the words of the command line that follow from it. Pure. */

import { shellWord } from "../../base/shell-word.ts";
import type { ShellRequest } from "../provider.ts";
import { jumpCommand, jumpHosts } from "./jump-hosts.ts";

export type SshTarget = {
  /** Host name or address, or a name of the user's ssh configuration. */
  readonly host: string;
  /** Null leaves it to the user's ssh configuration, as with each of these. */
  readonly user: string | null;
  readonly port: number | null;
  readonly identityFile: string | null;
  /** As `ssh -J` takes it: one host, or several with commas between them. */
  readonly jump: string | null;
  /** The command whose standard input and output are the connection, as ssh's ProxyCommand; null for a connection of ssh's own. */
  readonly proxyCommand: string | null;
  /** `Name=value` each, as `ssh -o` takes them. */
  readonly options: readonly string[];
  /** The public key that the host has to show, as `ssh-ed25519 AAAA...`; null: as known_hosts has it. */
  readonly hostKey: string | null;
};

export type SshFiles = {
  /** A known_hosts file with the target's pinned key alone; null when none is pinned. */
  readonly knownHostsFile: string | null;
};

/** How long ssh tries to connect, and how long a connection may be silent until it counts as lost. */
const connectTimeoutSeconds = 10;
const aliveIntervalSeconds = 5;
const aliveCountMax = 3;

/** The name that a pinned key has in its known_hosts file, so that neither port nor alias matter. */
export const pinnedName = "haplan-pinned-host";

/**
 * Arguments of `ssh` that run `command` on the target, without a terminal. What the spec does not say is left to the user's
 * ssh configuration, but for this: ssh never asks, and never takes a host key that it does not know.
 */
export function sshArguments(target: SshTarget, files: SshFiles, command: string): readonly string[] {
  // -v: what it says of the host's key, for the error that names it.
  return ["-T", ...reachArguments(target, files, ["-v", "-o", "BatchMode=yes"]), command];
}

/** Arguments of `ssh` for a user: it may ask for the passphrase of a key. Every word of the command arrives as it is. */
export function shellArguments(target: SshTarget, files: SshFiles, { command, tty }: ShellRequest): readonly string[] {
  const words = command === null ? [] : [command.map(shellWord).join(" ")];
  return [tty ? "-t" : "-T", ...reachArguments(target, files, []), ...words];
}

/** What a host is reached with, and the host. `mode`: words that its jump hosts are reached with as well. */
function reachArguments(target: SshTarget, files: SshFiles, mode: readonly string[]): readonly string[] {
  const { host, user, port, jump, proxyCommand, options } = target;
  const hops = jumpHosts(jump);
  const way = proxyCommand ?? (hops.length === 0 ? null : jumpCommand(hops, [...mode, ...wayWords(target)]));
  return [
    ...mode,
    ...asOptions(ownOptions),
    ...asOptions(pinnedOptions(files)),
    ...(way === null ? [] : asOptions([`ProxyCommand=${way}`])),
    // The first of two values holds: the user's come after those that haplan relies on.
    ...asOptions(options),
    ...(user === null ? [] : ["-l", user]),
    ...(port === null ? [] : ["-p", String(port)]),
    ...identityArguments(target),
    "--",
    host,
  ];
}

const ownOptions = [
  "StrictHostKeyChecking=yes",
  // A connection that is shared already is used. One that outlived this ssh would hold its output open.
  "ControlMaster=no",
  `ConnectTimeout=${connectTimeoutSeconds}`,
  `ServerAliveInterval=${aliveIntervalSeconds}`,
  `ServerAliveCountMax=${aliveCountMax}`,
];

/** Of all jump hosts: the same as of the host, but for what only that one has, and how it is connected to. */
function wayWords(target: SshTarget): readonly string[] {
  const ofWay = target.options.filter((option) => !/^proxycommand=/i.test(option));
  return [...asOptions(ownOptions), ...asOptions(ofWay), ...identityArguments(target)];
}

function pinnedOptions({ knownHostsFile }: SshFiles): readonly string[] {
  if (knownHostsFile === null) return [];
  return [`UserKnownHostsFile=${quoted(knownHostsFile)}`, "GlobalKnownHostsFile=none", `HostKeyAlias=${pinnedName}`];
}

function identityArguments({ identityFile }: SshTarget): readonly string[] {
  return identityFile === null ? [] : ["-i", identityFile];
}

function asOptions(words: readonly string[]): readonly string[] {
  return words.flatMap((word) => ["-o", word]);
}

/** ssh takes several files with spaces between them. */
function quoted(path: string): string {
  return `"${path}"`;
}
