/** Virtual router ids (VRRP): two routers with one id on a network take each other for the same one. */
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { HaplanError } from "../../base/haplan-error.ts";
import { virtualAddressUnitName } from "../../units/unit-definition.ts";
import { readConfig } from "./keepalived-config.ts";

/** Where distributions have the configuration of keepalived. */
const systemDir = "/etc/keepalived";

/** @throws HaplanError `provider/router-id-taken` if another keepalived of this machine uses the id; `root` is the cluster's */
export function assertRouterIdFree(root: string, routerId: number, systemConfigs: string = systemDir): void {
  const configs = [...filesBelow(systemConfigs), ...otherClusters(root)];
  const holder = configs.find((path) => routerIdsIn(readConfig(path)).includes(routerId));
  if (holder === undefined) return;
  throw new HaplanError(
    "provider/router-id-taken",
    `The virtual router id ${routerId} is already used on this host, in "${holder}": write another one as loadBalancer.routerId`,
  );
}

/** The ids in a configuration of keepalived; what follows a `#` or `!` is a comment. */
export function routerIdsIn(config: string): readonly number[] {
  return [...config.matchAll(/^[^#!\n]*\bvirtual_router_id\s+(\d+)/gm)].map(([, id]) => Number(id));
}

function otherClusters(root: string): readonly string[] {
  const clusters = dirname(root);
  return list(clusters)
    .map((name) => join(clusters, name))
    .filter((cluster) => cluster !== root)
    .flatMap((cluster) => list(join(cluster, "machines")).map((machine) => join(cluster, "machines", machine)))
    .map((machine) => join(machine, "units", virtualAddressUnitName, "files", "keepalived.conf"));
}

function filesBelow(directory: string): readonly string[] {
  return list(directory).map((name) => join(directory, name));
}

function list(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
