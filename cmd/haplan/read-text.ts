/** A file that is named on the command line; `-` is standard input. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { CliContext } from "./cli-context.ts";

/** @throws the system's error */
export async function readText({ cwd, terminal }: CliContext, path: string): Promise<string> {
  return path === "-" ? terminal.readInput() : readFileSync(resolve(cwd, path), "utf8");
}
