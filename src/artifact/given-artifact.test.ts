/** Artifacts that a spec names: real archives, and a real web server. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ArtifactLocation, type GivenArtifact, openGivenArtifact } from "./given-artifact.ts";

let cwd: string;
let sha256: string;
let server: Server;
let site: string;
let requests = 0;

beforeAll(async () => {
  cwd = mkdtempSync(join(tmpdir(), "haplan-given-"));
  for (const name of ["haplan-0.2.0-linux-arm64", "other-1.0"]) {
    mkdirSync(join(cwd, name, "bin"), { recursive: true });
    writeFileSync(join(cwd, name, "bin/node"), "");
    execFileSync("tar", ["-czf", join(cwd, `${name}.tar.gz`), "-C", cwd, `${name}/bin/node`]);
  }
  writeFileSync(join(cwd, "text.tar.gz"), "not an archive");
  const bytes = readFileSync(join(cwd, "haplan-0.2.0-linux-arm64.tar.gz"));
  sha256 = createHash("sha256").update(bytes).digest("hex");
  server = createServer((request, response) => {
    requests += 1;
    if (request.url === "/artifact") response.end(bytes);
    else response.writeHead(404).end("no such file");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  site = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
  rmSync(cwd, { recursive: true });
});

const open = (location: ArtifactLocation): Promise<GivenArtifact> =>
  openGivenArtifact({ location, cwd, cacheDirectory: join(cwd, "cache"), signal: new AbortController().signal });

describe("an artifact that a spec names", () => {
  it("is a file, whose name says version and architecture", async () => {
    const found = {
      path: join(cwd, "haplan-0.2.0-linux-arm64.tar.gz"),
      sha256,
      version: "0.2.0",
      architecture: "arm64",
    };
    expect(await open({ file: "haplan-0.2.0-linux-arm64.tar.gz" })).toEqual(found);
    expect(await open({ file: found.path, sha256: sha256.toUpperCase() })).toEqual(found);
  });

  it("is downloaded once", async () => {
    const before = requests;
    for (let twice = 0; twice < 2; twice += 1)
      expect(await open({ url: `${site}/artifact`, sha256 })).toMatchObject({ sha256, version: "0.2.0" });
    expect(requests - before).toBe(1);
  });

  it.each<[string, () => ArtifactLocation, string, RegExp]>([
    ["does not exist", () => ({ file: "none.tar.gz" }), "artifact/not-found", /none\.tar\.gz/],
    [
      "is not the one that was meant",
      () => ({ file: "haplan-0.2.0-linux-arm64.tar.gz", sha256: "0".repeat(64) }),
      "artifact/digest",
      /has the SHA-256 digest [0-9a-f]{64}/,
    ],
    ["is an archive of something else", () => ({ file: "other-1.0.tar.gz" }), "artifact/unreadable", /other-1\.0/],
    ["is no archive", () => ({ file: "text.tar.gz" }), "artifact/unreadable", /text\.tar\.gz/],
    ["is not served", () => ({ url: `${site}/none`, sha256: "1".repeat(64) }), "artifact/download", /answered 404/],
    [
      "is served by nothing",
      () => ({ url: "http://127.0.0.1:1/artifact", sha256: "1".repeat(64) }),
      "artifact/download",
      /ECONNREFUSED|bad port/,
    ],
    [
      "is another one at its URL",
      () => ({ url: `${site}/artifact`, sha256: "1".repeat(64) }),
      "artifact/download",
      /its SHA-256 digest is/,
    ],
  ])("is refused when it %s, and nothing is kept of it", async (_, location, code, message) => {
    await expect(open(location())).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    const kept = readdirSync(join(cwd, "cache")).filter((name) => name !== `${sha256}.tar.gz`);
    expect(kept).toEqual([]);
  });
});
