import { homedir } from "node:os";
import { join } from "node:path";

/** Where artifacts are kept that were built or downloaded. */
export function artifactCacheDir(): string {
  return join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "haplan", "artifacts");
}
