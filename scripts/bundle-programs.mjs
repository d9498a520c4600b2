import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { rolldown } from "rolldown";

/**
 * Stays outside: native code, a file that a worker thread loads by its name, and clients that few users ever load. That of S3 is a
 * chunk, because hosts have no packages of the SDK.
 */
const external = ["lmdb", "bcryptjs", /^@aws-sdk\/client-(?!s3$)/];

/**
 * What runs first. Compiled code is kept beside the build where Node.js can (22.8 on) and may (the directory is
 * writable). An agent runs for months and may end by SIGKILL, so that it cannot wait for the end to write its code
 * down.
 */
const launcher = `#!/usr/bin/env node
import nodeModule from "node:module";
import { fileURLToPath } from "node:url";

process.setSourceMapsEnabled(true);
if (nodeModule.enableCompileCache !== undefined) {
  nodeModule.enableCompileCache(fileURLToPath(new URL("../../compile-cache", import.meta.url)));
  setTimeout(() => nodeModule.flushCompileCache?.(), 10_000).unref();
}
await import("./program.js");
`;

/** Files that a program starts in a thread, or loads before another one, by the names that it knows them by. */
const threads = {
  "haplan/write-probe": "cmd/haplan/write-probe-thread.ts",
  "haplan-rehearsal/peer-hook": "cmd/haplan-rehearsal/peer-hook.ts",
};

/**
 * Bundles each program, of cmd/ unless `sourceOf` names another file, into `<into>/<program>/program.js` with chunks that they share, beside the `main.js`
 * that starts it. Source maps name the sources in stack traces.
 */
export async function bundlePrograms({ root, programs, into, sourceOf = (program) => `cmd/${program}/main.ts` }) {
  rmSync(into, { recursive: true, force: true });
  const bundle = await rolldown({
    cwd: root,
    input: {
      ...Object.fromEntries(programs.map((program) => [`${program}/program`, sourceOf(program)])),
      ...threads,
    },
    platform: "node",
    // The oldest Node.js that haplan runs on: `using` is lowered for it.
    transform: { target: "node20.19" },
    external,
  });
  await bundle.write({
    dir: into,
    format: "esm",
    sourcemap: true,
    entryFileNames: "[name].js",
    chunkFileNames: "chunks/[name]-[hash].js",
  });
  await bundle.close();
  for (const program of programs) {
    mkdirSync(`${into}/${program}`, { recursive: true });
    writeFileSync(`${into}/${program}/main.js`, launcher);
    chmodSync(`${into}/${program}/main.js`, 0o755);
  }
}
