/** What a command loads: nothing of AWS unless the spec has that provider. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, expect, it } from "vitest";
import { buildDir, until } from "./cluster-fixture.ts";
import { startProgram } from "./run-program.ts";

const directory = mkdtempSync(join(tmpdir(), "haplan-loaded-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const list = join(directory, "loaded");

/** Writes the URL of each module that is loaded into a file. */
const hooks = `
import { appendFileSync } from "node:fs";
export async function load(url, context, next) {
  appendFileSync(${JSON.stringify(list)}, url + "\\n");
  return next(url, context);
}
`;
const preload = `import { register } from "node:module"; register(${JSON.stringify(pathToFileURL(join(directory, "hooks.mjs")).href)});`;

const withBucket = join(directory, "bucket.yaml");
writeFileSync(
  withBucket,
  `${readFileSync(new URL("../../examples/ha-3-masters.yaml", import.meta.url), "utf8").trimEnd()}\n  backup: { s3: { bucket: kept } }\n`,
);
const example = (name: string): string => fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));

it.each([
  ["version", ["version"], false],
  ["a plan with provider local", ["plan", example("ha-3-masters.yaml")], false],
  ["a plan with backups in a bucket", ["plan", withBucket], false],
  ["a plan with provider aws", ["plan", example("aws-3-masters.yaml")], true],
])("loads what %s needs", async (_, words, expected) => {
  writeFileSync(join(directory, "hooks.mjs"), hooks);
  writeFileSync(join(directory, "preload.mjs"), preload);
  writeFileSync(list, "");
  const argv = ["--import", join(directory, "preload.mjs"), join(buildDir, "cmd/haplan/main.js"), ...words];
  // Without an answer from AWS: the plan says that it got none.
  const env = {
    AWS_ENDPOINT_URL: "http://127.0.0.1:9",
    AWS_CONFIG_FILE: "/dev/null",
    AWS_EC2_METADATA_DISABLED: "true",
  };
  const running = startProgram(process.execPath, argv, { cwd: directory, env, timeoutMs: 15_000 });
  const isLoaded = (): boolean => readFileSync(list, "utf8").includes("@aws-sdk/");
  // It would go on to ask AWS again.
  if (expected) await until("a client of AWS is loaded", isLoaded).finally(() => running.signal("SIGKILL"));
  await running.end;
  const loaded = readFileSync(list, "utf8").split("\n");
  expect(loaded.length).toBeGreaterThan(3);
  expect(loaded.some((url) => url.includes("@aws-sdk/"))).toBe(expected);
  // The client of S3 is a chunk of the build.
  expect(loaded.filter((url) => /\/s3-sdk/.test(url))).toEqual([]);
  expect(loaded.some((url) => /aws-provider/.test(url))).toBe(expected);
});
