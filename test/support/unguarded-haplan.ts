/**
 * haplan for the copies of a rehearsal with its guard switched off: neither does the planner refuse an order of steps, nor does
 * apply check the live members before a step. The product has no such switch: the build leaves the checks out.
 */
import { join } from "node:path";
import { rolldown } from "rolldown";
import { packageDir } from "../../src/base/package-dir.ts";

/** What is replaced in which file. */
const removed: Readonly<Record<string, readonly [checked: string, unchecked: string]>> = {
  "src/apply/quorum-gate.ts": [
    "if (!isGated(context.plan, step) ||",
    "if (step !== null || !isGated(context.plan, step) ||",
  ],
  "src/plan/quorum-guard.ts": ["if (!destroying) {", "if (destroying === null) {"],
};

/** @returns the program's file, below `node_modules`, where its packages are found */
export async function buildUnguardedHaplan(): Promise<string> {
  const root = packageDir();
  const found = new Set<string>();
  const bundle = await rolldown({
    cwd: root,
    input: { program: "cmd/haplan-rehearsal/main.ts" },
    platform: "node",
    // As the build: `using` is lowered for it.
    transform: { target: "node20.19" },
    external: ["lmdb", "bcryptjs", /^@aws-sdk\//],
    plugins: [
      {
        name: "unguarded",
        transform(code, id) {
          const file = Object.keys(removed).find((name) => id.endsWith(name));
          if (file === undefined) return null;
          const [checked, unchecked] = removed[file]!;
          if (!code.includes(checked)) throw new Error(`${file} is not as this test knows it`);
          found.add(file);
          return code.replace(checked, unchecked);
        },
      },
    ],
  });
  const directory = join(root, "node_modules/.cache/haplan-unguarded");
  await bundle.write({
    dir: directory,
    format: "esm",
    entryFileNames: "[name].js",
    chunkFileNames: "[name]-[hash].js",
  });
  await bundle.close();
  if (found.size !== Object.keys(removed).length) throw new Error("The guard is not part of the program");
  return join(directory, "program.js");
}
