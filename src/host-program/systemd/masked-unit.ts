/** Units that an operator has masked (systemctl(1)): a link to /dev/null in place of the unit's file. */
import { lstatSync, readlinkSync, rmSync } from "node:fs";
import { basename } from "node:path";
import { HaplanError, systemErrorCode } from "../../base/haplan-error.ts";

/** A mask is the operator's: haplan writes no unit in its place. @throws HaplanError `provider/unit-masked` */
export function assertNotMasked(file: string): void {
  if (!isMasked(file)) return;
  const unit = basename(file);
  throw new HaplanError(
    "provider/unit-masked",
    `Cannot write and start ${unit}: it is masked on its host. Run there: systemctl unmask ${unit}\nThen apply again.`,
  );
}

export function isMasked(file: string): boolean {
  try {
    return readlinkSync(file) === "/dev/null";
  } catch (error) {
    // There is no file, or it is no link.
    if (["ENOENT", "EINVAL"].includes(systemErrorCode(error) ?? "")) return false;
    throw error;
  }
}

/**
 * Removes a unit's file, also a mask in its place: the name is haplan's, and a mask without a unit would only keep a later
 * cluster of that name from starting. Returns whether anything was there.
 */
export function removeUnitFile(file: string): boolean {
  // `existsSync` follows links.
  const isThere = lstatSync(file, { throwIfNoEntry: false }) !== undefined;
  rmSync(file, { force: true });
  return isThere;
}
