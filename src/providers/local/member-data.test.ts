/** Which data directories are those of a member that may start again: one whose log is gone has lost its votes. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { memberData } from "./member-data.ts";

let directory: string;
beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), "haplan-member-data-")), "data");
});
afterEach(() => rmSync(dirname(directory), { recursive: true }));

/** Paths below the data directory; one that ends with a slash is a directory. */
function fill(paths: readonly string[]): void {
  for (const path of paths) {
    mkdirSync(join(directory, path.endsWith("/") ? path : dirname(path)), { recursive: true });
    if (!path.endsWith("/")) writeFileSync(join(directory, path), "content");
  }
}

const logOfAgent = "member/wal/000000000001.log";
const logOfEtcd = "member/wal/0000000000000000-0000000000000000.wal";

describe("a data directory", () => {
  it.each<[string, readonly string[], "log" | "remains" | "empty"]>([
    ["is absent", [], "empty"],
    ["is empty", ["/"], "empty"],
    ["is the root of a file system", ["lost+found/"], "empty"],
    ["has the root of a file system for its log", ["member/wal/lost+found/"], "empty"],
    ["was left by an agent that refused to start without its log", ["member/wal/", "member/snap/"], "empty"],
    ["was left by an etcd that refused to start without its log", ["member/snap/db"], "remains"],
    ["belongs to a member of a cluster that was replaced", ["member/replaced"], "remains"],
    ["has a store whose log is gone", ["member/snap/store.mdb", "member/replaced"], "remains"],
    ["has the log of an agent", [logOfAgent, "member/snap/store.mdb"], "log"],
    ["has a log alone, such as before the first snapshot", [logOfAgent, "member/snap/"], "log"],
    ["has the log of an agent that was killed while it created it", ["member/wal/000000000001.log.making"], "log"],
    ["has the log of an etcd", [logOfEtcd, "member/snap/db"], "log"],
    ["has the log of an etcd that was killed while it created it", ["member/wal.tmp/0.tmp"], "log"],
  ])("that %s", (_, paths, expected) => {
    fill(paths);
    const { hasData, hasRemains } = memberData(directory, false);
    expect(hasData ? "log" : hasRemains === true ? "remains" : "empty").toBe(expected);
  });

  it("whose log is behind a link has data, even while the link leads nowhere", () => {
    fill(["member/snap/db"]);
    symlinkSync(join(directory, "../elsewhere"), join(directory, "member/wal"));
    expect(memberData(directory, false)).toEqual({ hasData: true });
  });

  it("of a unit that the operator overrides may have its log elsewhere: with any content it has data", () => {
    expect(memberData(directory, true)).toEqual({ hasData: false });
    fill(["member/snap/store.mdb"]);
    expect(memberData(directory, true)).toEqual({ hasData: true });
  });
});
