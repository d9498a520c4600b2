/** The text of a spec, from a file or with `-` from standard input. */
import { resolve } from "node:path";
import { decodeSource, type ReadSource, readSource } from "../../src/spec/read-source.ts";
import type { CliContext } from "./cli-context.ts";

/** Stands for standard input in place of a file name. */
export const standardInput = "-";

/** The name of `path` in messages. */
export function specLabel(path: string): string {
  return path === standardInput ? "standard input" : path;
}

/** Reads the spec at `path`; waits for the end of standard input. */
export async function readSpecSource({ cwd, terminal }: CliContext, path: string): Promise<ReadSource> {
  if (path !== standardInput) return readSource(resolve(cwd, path), path);
  return decodeSource(Buffer.from(await terminal.readInput()), specLabel(path));
}
