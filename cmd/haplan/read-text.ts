/** Reads a state or a saved plan that was named on the command line; `-` is standard input. */
import { createReadStream } from "node:fs";
import { resolve } from "node:path";
import { readStateStream } from "../../src/state/state-size.ts";
import type { CliContext } from "./cli-context.ts";

/** @throws the system's error, or HaplanError `state/unreadable` if it is larger than a state can be */
export async function readText({ cwd, terminal }: CliContext, path: string): Promise<string> {
  return path === "-" ? terminal.readInput() : readStateStream(createReadStream(resolve(cwd, path)), path);
}
