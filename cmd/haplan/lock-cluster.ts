/** Takes a cluster's lock, and says in plain words when its folder cannot be written. */
import { errorText, HaplanError } from "../../src/base/haplan-error.ts";
import { acquireLock, type Lock } from "../../src/state/lock.ts";
import type { CliContext } from "./cli-context.ts";
import { lockFolder } from "./cluster-files.ts";

export async function lockCluster(
  context: CliContext,
  request: { readonly folder: string; readonly operation: string; readonly timeoutMs: number },
): Promise<Lock> {
  try {
    return await acquireLock({ ...request, folder: lockFolder(request.folder), clock: context.clock });
  } catch (error) {
    if (error instanceof HaplanError) throw error;
    const message = `Cannot write to ${request.folder}: ${errorText(error)}\nState and machines live there. Make it writable, or start haplan in another folder. Nothing was changed.`;
    throw new HaplanError("state/unwritable", message, { cause: error });
  }
}
