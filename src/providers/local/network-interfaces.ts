import { networkInterfaces } from "node:os";
import { HaplanError } from "../../base/haplan-error.ts";

/** The name of this machine's network interface that has `address`. @throws HaplanError `provider/no-interface` */
export function interfaceOf(address: string): string {
  const found = Object.entries(networkInterfaces()).find(([, has]) => has?.some((each) => each.address === address));
  if (found !== undefined) return found[0];
  throw new HaplanError(
    "provider/no-interface",
    `No network interface of this host has the address ${address}: write the one for the virtual address as loadBalancer.interface`,
  );
}
