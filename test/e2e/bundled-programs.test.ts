import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { buildFolder } from "./cluster-fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "haplan-bundled-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Prints where a file is read from, and then fails to read it. */
const readHook = `
  const fs = require("node:fs");
  const { readFileSync } = fs;
  fs.readFileSync = (path, ...rest) => {
    if (!String(path).endsWith("package.json") || !new Error().stack.includes("ownVersion")) return readFileSync(path, ...rest);
    process.stderr.write(new Error("here").stack + "\\n");
    throw new Error("refused");
  };
  require("node:module").syncBuiltinESMExports();
`;

describe("the bundled programs", () => {
  it("A18: name the sources in a stack trace", async () => {
    const hook = join(folder, "hook.cjs");
    writeFileSync(hook, readHook);
    const argv = ["--require", hook, join(buildFolder, "cmd/haplan/main.js"), "version"];
    const { stderr, stdout } = await promisify(execFile)(process.execPath, argv);
    expect(stderr).toMatch(/at ownVersion \(.*\/cmd\/haplan\/main\.ts:\d+:\d+\)/);
    expect(stdout).toContain("haplan vunknown");
  });
});
