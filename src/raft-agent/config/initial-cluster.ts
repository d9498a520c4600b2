/** `--initial-cluster`: the members that bootstrap a cluster, or those that a new member joins. */
import { isSocketUrl } from "../../base/listen-place.ts";
import { addressError, parseUrl, urlText } from "./flag-values.ts";
import { SettingsError } from "./read-settings.ts";

export type InitialMember = { readonly name: string; readonly peerUrls: readonly string[] };

/**
 * `name=url,name=url`; a repeated name has several URLs. As in etcd, extra commas are ignored: such lists are built by
 * shell loops. @throws SettingsError naming the invalid piece
 */
export function readInitialCluster(text: string): InitialMember[] {
  const members = new Map<string, string[]>();
  for (const piece of text.split(",").filter((one) => one !== "")) {
    const { name, url } = readPiece(piece.trim());
    members.set(name, [...(members.get(name) ?? []), url]);
  }
  return [...members].map(([name, peerUrls]) => ({ name, peerUrls: peerUrls.sort() }));
}

function readPiece(piece: string): { readonly name: string; readonly url: string } {
  const equals = piece.indexOf("=");
  const text = piece.slice(equals + 1).trim();
  const url = parseUrl(text);
  const expected = "expected name=url, for example m1=https://10.0.0.1:2380";
  if (equals < 1 || url === null || isSocketUrl(url))
    throw new SettingsError(`--initial-cluster has "${piece}": ${expected}`);
  const error = addressError(url, text);
  if (error !== null) throw new SettingsError(`--initial-cluster has "${piece}": ${expected}; ${error}`);
  return { name: piece.slice(0, equals), url: urlText(url) };
}

/** The cluster settings of a member at its first start. */
export type FirstStart = {
  readonly name: string;
  readonly initialCluster: readonly InitialMember[];
  readonly advertisePeerUrls: readonly string[];
};

/**
 * To be checked only at the first start. Later these flags may have any value, as in etcd, since they are seldom
 * updated when the membership changes. The texts begin with etcd's. @throws SettingsError
 */
export function assertInitialCluster(config: FirstStart): void {
  const { name, initialCluster, advertisePeerUrls } = config;
  const self = initialCluster.find((member) => member.name === name);
  if (self === undefined) {
    const found = initialCluster.length === 0 ? "is empty" : `does not name this member "${name}"`;
    throw new SettingsError(
      `couldn't find local name "${name}" in the initial cluster configuration: --initial-cluster ${found}; add ${name}=URL to it`,
    );
  }
  assertUrlsOnce(initialCluster);
  const same = [...self.peerUrls].sort().join() === [...advertisePeerUrls].sort().join();
  if (!same) {
    throw new SettingsError(
      `--initial-cluster says "${name}" is at ${self.peerUrls.join()}, --initial-advertise-peer-urls says ${advertisePeerUrls.join()}; make them equal`,
    );
  }
}

/** Two members at one URL are one member with two names, and the cluster has one voter less than its list. */
function assertUrlsOnce(members: readonly InitialMember[]): void {
  const nameOf = new Map<string, string>();
  for (const { name, peerUrls } of members) {
    for (const url of peerUrls) {
      const other = nameOf.get(url);
      nameOf.set(url, name);
      if (other === undefined) continue;
      const whose = other === name ? `to "${name}" twice` : `to "${other}" and to "${name}"`;
      throw new SettingsError(
        `initial cluster ${listOf(members)} has duplicate url: --initial-cluster gives ${url} ${whose}; give each member its own URLs`,
      );
    }
  }
}

function listOf(members: readonly InitialMember[]): string {
  return members.flatMap(({ name, peerUrls }) => peerUrls.map((url) => `${name}=${url}`)).join();
}
