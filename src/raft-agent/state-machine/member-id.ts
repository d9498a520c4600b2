/**
 * Computes the ids of members and clusters like etcd, so that the same initial cluster has the same ids on either
 * engine. Source: etcd server/etcdserver/api/membership/{member,cluster}.go.
 */
import { createHash } from "node:crypto";
import type { MemberId } from "../raft/entry.ts";

/**
 * The first 8 bytes of SHA-1 over the sorted peer URLs and the cluster token; for members added at run time also the
 * second of the addition, so that a URL can be reused after its first member was removed.
 */
export function computeMemberId(peerUrls: readonly string[], clusterToken: string, addedAtMs?: number): MemberId {
  const hash = createHash("sha1");
  hash.update([...peerUrls].sort().join(""));
  hash.update(clusterToken);
  if (addedAtMs !== undefined) hash.update(String(Math.floor(addedAtMs / 1000)));
  return hash.digest("hex").slice(0, 16);
}

/** The first 8 bytes of SHA-1 over the sorted ids of the initial members, as 16 hex digits. */
export function computeClusterId(memberIds: readonly MemberId[]): string {
  const hash = createHash("sha1");
  for (const id of [...memberIds].sort()) hash.update(Buffer.from(id, "hex"));
  return hash.digest("hex").slice(0, 16);
}

/**
 * Returns why a list of peer or client URLs is invalid, or null. The rules are those of etcd's `types.NewURLs`: at
 * least one URL, http, https, unix or unixs, with a port, without a path.
 */
export function validateUrls(urls: readonly string[]): string | null {
  if (urls.length === 0) return "no valid URLs given";
  for (const text of urls) {
    const match = /^(https?|unixs?):\/\/([^/?#]*)(.*)$/.exec(text.trim());
    if (match === null) return `URL scheme must be http, https, unix, or unixs: ${text}`;
    const [, scheme, host, path] = match;
    if (scheme!.startsWith("http") && !/^(\[[0-9a-fA-F:.%]+\]|[^:[\]]*):\d{1,5}$/.test(host!)) {
      return `URL address does not have the form "host:port": ${text}`;
    }
    if (scheme!.startsWith("http") && path !== "") return `URL must not contain a path: ${text}`;
  }
  return null;
}
