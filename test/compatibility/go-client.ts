/** etcd's own Go client as a fixture: runs the scenarios of the program in `go/` against a cluster. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { JsonValue } from "@bufbuild/protobuf";
import { type GoBuild, goProgram } from "./go-build.ts";

export type GoScenario = {
  readonly endpoints: readonly string[];
  /** `NAME:PASSWORD` */
  readonly user?: string;
  readonly tls?: { readonly caFile: string; readonly certFile: string; readonly keyFile: string };
  readonly parameters?: Readonly<Record<string, string | number>>;
  /** Called for each event that the scenario reports while it runs. */
  readonly onEvent?: (event: string, scenario: RunningScenario) => void;
};

/** What a test may do while the scenario runs. */
export type RunningScenario = {
  /** Closes standard input: scenarios that run until then finish. */
  finish(): void;
};

export type GoClient = {
  /** @throws when the scenario ends with an error. */
  run(name: string, scenario: GoScenario): Promise<JsonValue>;
};

export const goClientBuild: GoBuild = {
  module: fileURLToPath(new URL("go", import.meta.url)),
  packagePath: ".",
  program: "etcd-go-client",
};

/** The client, or the reason why it is not available. With HAPLAN_TEST_EVERYTHING it is built if it is missing. */
export async function findGoClient(): Promise<GoClient | { readonly missing: string }> {
  const built = await goProgram(goClientBuild, process.env["HAPLAN_TEST_EVERYTHING"] !== undefined);
  if ("missing" in built) return built;
  return { run: (name, scenario) => runScenario(built.path, name, scenario) };
}

type Line = { readonly event?: string; readonly result?: JsonValue; readonly error?: string };

async function runScenario(program: string, name: string, scenario: GoScenario): Promise<JsonValue> {
  const child = spawn(program, [name, ...flagsOf(scenario)], { stdio: ["pipe", "pipe", "pipe"] });
  // The scenario may be over before its standard input is closed.
  child.stdin.on("error", () => {});
  let errorOutput = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errorOutput += text;
  });
  const running: RunningScenario = { finish: () => child.stdin.end() };
  let last: Line = {};
  for await (const text of createInterface({ input: child.stdout })) {
    const line = JSON.parse(text) as Line;
    if (line.event === undefined) last = line;
    else scenario.onEvent?.(line.event, running);
  }
  if (last.result === undefined)
    throw new Error(`${name}: ${last.error ?? (errorOutput.trim() || "it wrote nothing")}`);
  return last.result;
}

function flagsOf({ endpoints, user, tls, parameters }: GoScenario): string[] {
  return [
    `-endpoints=${endpoints.join()}`,
    ...(user === undefined ? [] : [`-user=${user}`]),
    ...(tls === undefined ? [] : [`-cacert=${tls.caFile}`, `-cert=${tls.certFile}`, `-key=${tls.keyFile}`]),
    ...Object.entries(parameters ?? {}).flatMap(([name, value]) => ["-set", `${name}=${value}`]),
  ];
}
