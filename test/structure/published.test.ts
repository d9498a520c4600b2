/** What only tests use is not in the product, and nothing but the product is published. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, normalize } from "node:path";
import { describe, expect, it } from "vitest";
import { importsOf, productSources, root, testOnly } from "./imports.ts";

const sources = productSources();
/** Programs, and the files that one of them starts in a thread, or loads before another one. */
const loaded = ["cmd/haplan/write-probe-thread.ts", "cmd/haplan-rehearsal/peer-hook.ts"];
const entries = sources
  .map(({ path }) => path)
  .filter((path) => /^cmd\/[^/]+\/main\.ts$/.test(path) || loaded.includes(path));

function reachable(): ReadonlySet<string> {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const seen = new Set<string>();
  const open = [...entries];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const source = byPath.get(path);
    if (source === undefined || seen.has(path)) continue;
    seen.add(path);
    open.push(...importsOf(source).map(({ to }) => to));
  }
  return seen;
}

describe("the product", () => {
  it("imports nothing that only tests may use", () => {
    const found = sources.flatMap(importsOf).filter(({ to }) => testOnly.test(to));
    expect(found).toEqual([]);
  });

  it("holds no file that no program reaches: such a file is a `.fake.ts`, a `.fixture.ts` or in test/support", () => {
    expect(entries.length).toBeGreaterThan(4);
    const reached = reachable();
    expect(sources.map(({ path }) => path).filter((path) => !reached.has(path))).toEqual([]);
  });

  it.each(["../wal/file-system.fake.ts", "../wal/wal.fixture.ts", "../../../test/support/fake-world.ts"])(
    "may not import %s",
    (name) => {
      const [found] = importsOf({ path: "src/raft-agent/raft/probe.ts", text: `import { x } from "${name}";` });
      expect(found!.to).toMatch(testOnly);
    },
  );
});

describe("the package", () => {
  /** No script runs: `prepare` would build anew under the feet of other tests. */
  const { stdout } = spawnSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: root,
    encoding: "utf8",
  });
  const [packed] = JSON.parse(stdout) as { files: { path: string }[] }[];
  const paths = packed!.files.map(({ path }) => path);

  it("holds the programs and the files that they read", () => {
    const expected = [
      "dist/cmd/haplan/main.js",
      "dist/cmd/haplan-agent/main.js",
      "dist/cmd/haplan-worker/main.js",
      "templates/haproxy/haproxy.cfg.hbs",
      "templates/systemd/unit.service.hbs",
      "ui/index.html",
      "ui/page.css",
      "ui/page.js",
    ];
    expect(paths).toEqual(expect.arrayContaining(expected));
  });

  it("holds nothing else", () => {
    const known = /^(dist\/cmd|artifact|examples|schema|templates|ui)\/|^(LICENSE|README\.md|package\.json)$/;
    expect(paths.filter((path) => !known.test(path))).toEqual([]);
  });

  it("is made from no source that only tests may use", () => {
    const maps = paths.filter((path) => path.startsWith("dist/") && path.endsWith(".map"));
    expect(maps.length).toBeGreaterThan(4);
    const made = maps.flatMap((map) =>
      (JSON.parse(readFileSync(join(root, map), "utf8")) as { sources: string[] }).sources.map((source) =>
        normalize(join(map, "..", source)),
      ),
    );
    expect(made).toContain("src/plan/planner.ts");
    expect(made.filter((path) => testOnly.test(path) && !path.startsWith("node_modules/"))).toEqual([]);
  });
});
