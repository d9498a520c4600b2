import { HaplanError } from "../base/haplan-error.ts";

/** Names become directories: they must not lead out of their parent. @throws HaplanError `provider/bad-name` */
export function assertDirName(what: string, name: string): void {
  if (/^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}(@\d+)?$/.test(name)) return;
  throw new HaplanError("provider/bad-name", `Cannot use "${name}" as the name of a ${what}: it is not a file name`);
}
