/** Units that an operator has masked (systemctl(1)): a link to /dev/null in place of the unit's file. */
import { readlinkSync } from "node:fs";
import { systemErrorCode } from "../../base/haplan-error.ts";

export function isMasked(file: string): boolean {
  try {
    return readlinkSync(file) === "/dev/null";
  } catch (error) {
    // There is no file, or it is no link.
    if (["ENOENT", "EINVAL"].includes(systemErrorCode(error) ?? "")) return false;
    throw error;
  }
}
