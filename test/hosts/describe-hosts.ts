/** The tests of a feature on hosts: left out, with the reason in their title, where the machine cannot run hosts. */
import { describe } from "vitest";
import { isInstalled } from "../e2e/run-program.ts";
import { missingHostSupport } from "./host-set.ts";

export type HostNeeds = {
  /** Programs of this machine, each with the argument that makes it print its version. */
  readonly programs?: Readonly<Record<string, string>>;
  /** Why something else is not there; null if it is. */
  readonly missing?: string | null;
};

export function describeHosts(title: string, body: () => void, { programs = {}, ...needs }: HostNeeds = {}): void {
  const absent = Object.entries(programs).find(([program, flag]) => !isInstalled(program, flag));
  const missing =
    missingHostSupport() ?? needs.missing ?? (absent === undefined ? null : `not installed: ${absent[0]}`);
  describe.skipIf(missing !== null)(missing === null ? title : `${title} (skipped: ${missing})`, body);
}
