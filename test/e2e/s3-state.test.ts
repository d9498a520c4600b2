import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { buildDir } from "./cluster-fixture.ts";

const directory = mkdtempSync(join(tmpdir(), "haplan-s3-state-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

it("T-start: state in S3 is read without a word of the SDK about versions of Node.js", async () => {
  await using store = createServer((_, response) => {
    response.writeHead(404, { "content-type": "application/xml" });
    response.end("<Error><Code>NoSuchKey</Code></Error>");
  });
  store.listen(0, "127.0.0.1");
  await once(store, "listening");
  const endpoint = `http://127.0.0.1:${(store.address() as AddressInfo).port}`;
  const state = `  state:\n    backend: s3\n    s3: { bucket: states, region: eu-central-1, endpoint: "${endpoint}", forcePathStyle: true }\n`;
  const example = new URL("../../examples/ha-3-masters.yaml", import.meta.url);
  const spec = join(directory, "cluster.yaml");
  writeFileSync(
    spec,
    readFileSync(example, "utf8").replace(/^spec:.*\n/m, (line) => line + state),
  );

  const env = { ...process.env, AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "test" };
  const run = spawn(process.execPath, [join(buildDir, "cmd/haplan/main.js"), "state", "list", "-spec", spec], {
    env,
  });
  let said = "";
  for (const stream of [run.stdout, run.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (said += text));
  await once(run, "close");
  expect(said).toContain("There is no state of");
  expect(said).not.toContain("NodeVersionSupportWarning");
});
