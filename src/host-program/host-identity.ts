import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import type { HostIdentity } from "../host/host-facts.ts";

/** Which host this is. */
export function hostIdentity(): HostIdentity {
  return { hostname: hostname(), machineId: machineId() };
}

function machineId(): string | null {
  try {
    return readFileSync("/etc/machine-id", "utf8").trim() || null;
  } catch {
    return null;
  }
}
