import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { SettingsError } from "../config/read-settings.ts";
import { createAgentLog } from "./agent-log.ts";

const directory = mkdtempSync(join(tmpdir(), "haplan-log-"));
const namedPipe = join(directory, "pipe");
spawnSync("mkfifo", [namedPipe]);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

it("a log appends to its file, in a directory that it creates", async () => {
  const output = join(directory, "logs/agent.log");
  for (const text of ["first", "second"]) {
    const { logger, written } = createAgentLog({ level: "info", outputs: [output] });
    logger.info(text);
    logger.debug("not wanted");
    await written();
  }
  const lines = readFileSync(output, "utf8").trim().split("\n");
  expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(["first", "second"]);
});

it.each([
  ["a directory", () => directory],
  ["below a file", () => join(directory, "file/agent.log")],
  ["below /proc", () => "/proc/haplan/agent.log"],
  ["a named pipe without a reader", () => namedPipe],
])("an output that is %s is rejected by name", (_, output) => {
  writeFileSync(join(directory, "file"), "");
  const open = (): unknown => createAgentLog({ level: "info", outputs: ["stderr", output()] });
  expect(open).toThrow(SettingsError);
  expect(open).toThrow(`--log-outputs has "${output()}": E`);
});
