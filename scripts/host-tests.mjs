// The tests that need hosts (docs/test-hosts.md), one file after the other: they share the hosts' addresses. Those of every
// day, or `--all` of them, which takes half an hour. `npm run build` comes before.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const everyDay = ["hosts", "ssh", "bare-metal-example", "lost-hosts", "damaged-hosts"].map(
  (name) => `test/hosts/${name}.soak.test.ts`,
);
const words = process.argv.slice(2);
const tests = words.includes("--all") ? ["test/hosts"] : everyDay;
const flags = words.filter((word) => word !== "--all");

const { status } = spawnSync("npx", ["vitest", "run", ...tests, "--no-file-parallelism", ...flags], {
  cwd: fileURLToPath(new URL("..", import.meta.url)),
  env: { ...process.env, HAPLAN_TEST_EVERYTHING: "1", HAPLAN_TEST_SOAK: "1" },
  stdio: "inherit",
});
process.exitCode = status ?? 1;
