/** The names of versions, by which plans tell whether units have to start with another one. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { contentsOf } from "../../artifact/build-record.ts";
import { readOwnBuild } from "../../artifact/own-build.ts";
import type { ProviderOptions } from "../provider-options.ts";
import { openArtifactSource } from "./artifact-source.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "haplan-source-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

const nameWith = (artifact: object | null): Promise<string> => {
  const spec = { provider: artifact === null ? {} : { artifact } } as unknown as ProviderOptions["spec"];
  return openArtifactSource({ spec, cwd: directory, signal: new AbortController().signal }).name();
};

/** A file that says that it is of this build. */
async function fileOf(version: string, digest: string, isChanged: boolean): Promise<string> {
  const top = `haplan-${version}-linux-x64`;
  mkdirSync(join(directory, top, "bin"), { recursive: true });
  const contents = await contentsOf([{ path: "bin/node", mode: 0o755, content: { text: "runtime" } }]);
  writeFileSync(join(directory, top, "bin/node"), isChanged ? "another runtime" : "runtime");
  writeFileSync(join(directory, top, "package.json"), JSON.stringify({ build: { digest, contents } }));
  const file = join(directory, `${isChanged}.tar.gz`);
  execFileSync("tar", ["-czf", file, "-C", directory, top]);
  return file;
}

describe("the name of a version", () => {
  it("is the same for this haplan and a file that it built", async () => {
    const { version, digest } = await readOwnBuild();
    expect(await nameWith({ file: await fileOf(version, digest, false) })).toBe(await nameWith(null));
  });

  it("is that of the file where it was changed since", async () => {
    const { version, digest } = await readOwnBuild();
    const file = await fileOf(version, digest, true);
    const sha256 = createHash("sha256").update(readFileSync(file)).digest("hex");
    expect(await nameWith({ file })).toBe(`${version} (sha256:${sha256.slice(0, 12)})`);
  });
});
