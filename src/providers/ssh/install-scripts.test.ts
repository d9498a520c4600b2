/** The scripts that install and remove an artifact, run by this machine's shell in a directory of the test's. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { appendScript, installScript, receivedScript, removeScript } from "./install-scripts.ts";

let base: string;
let install: string;
let state: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "haplan-install-"));
  install = join(base, "opt");
  state = join(base, "state");
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

const run = (script: string, input?: Buffer): string =>
  execFileSync("sh", ["-c", script], { input: input ?? "", encoding: "utf8", stdio: ["pipe", "pipe", "pipe"] }).trim();

/** Everything but the lock. */
const visible = (directory: string): string[] =>
  readdirSync(directory)
    .filter((name) => name !== ".lock")
    .toSorted();

/** An archive of one file, and its digest. */
function archive(content: string): { readonly bytes: Buffer; readonly digest: string } {
  const top = join(base, "top");
  mkdirSync(top, { recursive: true });
  writeFileSync(join(top, "name"), content);
  const bytes = execFileSync("tar", ["-cz", "-C", base, "top"]);
  return { bytes, digest: createHash("sha256").update(bytes).digest("hex") };
}

function installed(content: string): string {
  const { bytes, digest } = archive(content);
  if (run(receivedScript(install, digest)) === "installed") return digest;
  run(appendScript(install, digest, 0), bytes);
  run(installScript(install, digest));
  return digest;
}

describe("an artifact on a host", () => {
  it("is in the directory of its digest, which the link `current` leads to", () => {
    const digest = installed("one");
    expect(readlinkSync(join(install, "current"))).toBe(digest);
    expect(readFileSync(join(install, "current/name"), "utf8")).toBe("one");
    expect(run(receivedScript(install, digest))).toBe("installed");
  });

  it("is continued where its upload ended", () => {
    const { bytes, digest } = archive("one");
    run(receivedScript(install, digest));
    run(appendScript(install, digest, 0), bytes.subarray(0, 40));
    expect(run(receivedScript(install, digest))).toBe("40");
    run(appendScript(install, digest, 40), bytes.subarray(40));
    run(installScript(install, digest));
    expect(readFileSync(join(install, "current/name"), "utf8")).toBe("one");
  });

  it("is installed once by two uploads at the same time", () => {
    const { bytes, digest } = archive("one");
    for (let upload = 0; upload < 2; upload += 1) run(receivedScript(install, digest));
    run(appendScript(install, digest, 0), bytes.subarray(0, 40));
    expect(() => run(appendScript(install, digest, 0), bytes)).toThrow();
    run(appendScript(install, digest, 40), bytes.subarray(40));
    run(installScript(install, digest));
    run(appendScript(install, digest, 40), bytes.subarray(40));
    run(installScript(install, digest));
    expect(visible(install)).toEqual([digest, "current"].toSorted());
  });

  it("is refused and begun again when it is damaged on its way", () => {
    const { bytes, digest } = archive("one");
    run(receivedScript(install, digest));
    run(appendScript(install, digest, 0), Buffer.concat([bytes.subarray(1), bytes.subarray(0, 1)]));
    expect(() => run(installScript(install, digest))).toThrow();
    expect(run(receivedScript(install, digest))).toBe("0");
    expect(existsSync(join(install, "current"))).toBe(false);
  });

  it("is kept with the one before, and none of anything else is touched", () => {
    mkdirSync(join(install, "other"), { recursive: true });
    writeFileSync(join(install, "other/data"), "precious");
    const [, second, third] = [installed("one"), installed("two"), installed("three")];
    expect(visible(install)).toEqual([second, third, "current", "other"].toSorted());
    mkdirSync(state);
    run(removeScript(install, state));
    expect(readdirSync(install)).toEqual(["other"]);
    expect(readFileSync(join(install, "other/data"), "utf8")).toBe("precious");
  });

  it("is removed with its directory once no cluster is left on the host, and not before", () => {
    installed("one");
    mkdirSync(join(state, "cluster/machines"), { recursive: true });
    run(removeScript(install, state));
    expect(existsSync(join(install, "current/name"))).toBe(true);
    rmSync(join(state, "cluster/machines"), { recursive: true });
    run(removeScript(install, state));
    expect([existsSync(install), existsSync(state)]).toEqual([false, false]);
    run(removeScript(install, state));
  });
});
