/** A Python client of etcd as a fixture: `python/client.py` in an environment of its own, which is made once. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { JsonValue } from "@bufbuild/protobuf";
import { findPythonEnvironment, runFile } from "./python-environment.ts";

export type PythonClient = {
  /** What the program saw at the member of this URL. @throws when it fails. */
  run(url: string, user?: { readonly name: string; readonly password: string }): Promise<JsonValue>;
};

const requirements = fileURLToPath(new URL("python/requirements.txt", import.meta.url));
const program = fileURLToPath(new URL("python/client.py", import.meta.url));
const runMs = 60_000;

/**
 * The client, or the reason why it is not available; its packages are installed if they are missing and `install` is
 * true.
 */
export async function findPythonClient(install: boolean): Promise<PythonClient | { readonly missing: string }> {
  const environment = await findPythonEnvironment(requirements, install);
  if ("missing" in environment) return environment;
  return {
    run: async (url, user) => {
      const { hostname, port } = new URL(url);
      const credentials = user === undefined ? [] : [user.name, user.password];
      const python = join(environment.directory, "bin/python");
      const ran = await runFile(python, [program, hostname, port, ...credentials], runMs);
      if ("failed" in ran) throw new Error(ran.failed);
      return JSON.parse(ran.output) as JsonValue;
    },
  };
}
