/** Real archives, as tar makes them. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildOf, contentsOf } from "./build-record.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "haplan-record-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

const files = { "bin/node": "runtime", "cmd/haplan-agent/main.js": "start()" };
type Files = Readonly<Record<string, string>>;

/** An archive of these files, whose record is of `recorded`. */
async function archive(name: string, about: string | null, content: Files, recorded: Files = content): Promise<string> {
  const entries = Object.entries(recorded).map(([path, text]) => ({ path, mode: 0o644, content: { text } }) as const);
  const build = { digest: "b1", contents: await contentsOf(entries) };
  const top = `haplan-${name}-linux-x64`;
  const own = about === null ? {} : { "package.json": about === "" ? JSON.stringify({ build }) : about };
  for (const [path, text] of Object.entries({ ...content, ...own })) {
    mkdirSync(dirname(join(directory, top, path)), { recursive: true });
    writeFileSync(join(directory, top, path), text);
  }
  const file = join(directory, `${name}.tar.gz`);
  execFileSync("tar", ["-czf", file, "-C", directory, top]);
  return file;
}

describe("the build of an artifact", () => {
  it.each<[string, string | null, Files, Files | undefined, string | null]>([
    ["as it was built", "", files, undefined, "b1"],
    ["with a changed file", "", { ...files, "bin/node": "other" }, files, null],
    ["with one more file", "", { ...files, "cmd/more.js": "" }, files, null],
    ["without one of its files", "", { "bin/node": "runtime" }, files, null],
    ["with a file of another name", "", { "bin/node": "runtime", "cmd/other.js": "start()" }, files, null],
    ["of a haplan that recorded none", '{ "hostRevision": 4 }', files, undefined, null],
    ["whose record is no JSON", "{", files, undefined, null],
    ["without a record", null, files, undefined, null],
  ])("%s is known if it is whole", async (name, about, content, recorded, digest) => {
    expect(await buildOf(await archive(name.replaceAll(" ", "-"), about, content, recorded))).toBe(digest);
  });

  it("is found whatever the order of the files", async () => {
    const entries = Object.entries(files).map(([path, text]) => ({ path, mode: 0o644, content: { text } }) as const);
    expect(await contentsOf(entries.toReversed())).toBe(await contentsOf(entries));
  });

  it("of what is no archive is an error", async () => {
    const file = join(directory, "text.tar.gz");
    writeFileSync(file, "no archive");
    await expect(buildOf(file)).rejects.toThrow("incorrect header check");
  });
});
