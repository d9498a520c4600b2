/** The text of a spec: of a file, or with `-` of standard input. */
import { resolve } from "node:path";
import { decodeSource, type ReadSource, readSource } from "../../src/spec/read-source.ts";
import type { CliContext } from "./cli-context.ts";

/** What stands for standard input where a file is named. */
export const standardInput = "-";

/** How `path` is called in messages. */
export function specLabel(path: string): string {
  return path === standardInput ? "standard input" : path;
}

/** Reads the spec that was named `path`; waits for the writer of standard input. */
export async function readSpecSource({ cwd, terminal }: CliContext, path: string): Promise<ReadSource> {
  if (path !== standardInput) return readSource(resolve(cwd, path), path);
  return decodeSource(Buffer.from(await terminal.readInput()), specLabel(path));
}
