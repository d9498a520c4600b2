/** Whether a host's keepalived, of another cluster or of none, has the virtual address of this cluster in its configuration. */

import { dataDir } from "../base/host-paths.ts";
import { canonicalAddress } from "../base/ip-address.ts";
import type { HostFacts } from "../host/host-facts.ts";
import { labelOf } from "./hosts-to-check.ts";

type KnownHost = Parameters<typeof labelOf>[0] & { readonly facts: Pick<HostFacts, "virtualAddresses"> };

/** Whether keepalived of this cluster is there to have the address: also on a host that neither spec nor state has. */
export function isSetUp(cluster: string, address: string, facts: KnownHost["facts"]): boolean {
  const wanted = canonicalAddress(address);
  return facts.virtualAddresses.some((each) => each.address === wanted && isOf(cluster, each.file));
}

function isOf(cluster: string, file: string): boolean {
  return file.startsWith(`${dataDir}/${cluster}/`);
}

/** What is known of the holder, whether it has the address now or not; null if there is none. */
export function configuredHolder(cluster: string, address: string, hosts: readonly KnownHost[]): string | null {
  const wanted = canonicalAddress(address);
  for (const host of hosts) {
    const found = host.facts.virtualAddresses.find((each) => each.address === wanted && !isOf(cluster, each.file));
    if (found === undefined) continue;
    const [, other] = found.file.startsWith(`${dataDir}/`) ? found.file.slice(dataDir.length).split("/") : [];
    const owner = other === undefined ? found.file : `cluster "${other}"`;
    return `keepalived of ${owner} on ${labelOf(host)}`;
  }
  return null;
}
