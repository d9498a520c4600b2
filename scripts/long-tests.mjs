// What takes too long for every day: the tests that have a long form, in it. `npm run build` comes before. CI takes the longest files in
// turn (docs/decisions/20261130-ci-in-turns.md): `HAPLAN_TEST_LONG_PART` leaves two thirds of them out.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const tests = [
  ".long.test.ts",
  "src/apply/apply-plan.test.ts",
  "src/plan/exhaustive.test.ts",
  "src/plan/exhaustive-places.test.ts",
  "test/compatibility/differential.test.ts",
  "test/compatibility/go-client.test.ts",
  "test/compatibility/random-sessions.test.ts",
  "test/compatibility/http1-connections.test.ts",
  "test/crash",
  "test/providers",
  "test/fuzz",
  "test/simulator/simulation.test.ts",
  "test/e2e/certificates.test.ts",
];
/** Each takes more than half a minute, and the three lists as long. */
const thirds = [
  [
    "test/compatibility/differential-versions",
    "test/compatibility/etcdctl-checks",
    "test/compatibility/etcdctl-members",
    "test/compatibility/lease-crowds",
    "test/e2e/drill",
    "test/e2e/rehearse-changes",
    "test/e2e/moving-members",
  ],
  [
    "test/compatibility/damaged-files",
    "test/compatibility/etcd-data",
    "test/compatibility/mixed-versions",
    "test/e2e/adopt-pair",
    "test/e2e/lost-members",
    "test/e2e/rehearse",
    "test/e2e/restore",
    "test/e2e/watch",
    "test/e2e/watch-replaces",
  ],
  [
    "test/compatibility/large-reads",
    "test/e2e/artifact",
    "test/e2e/authority-replacement",
    "test/e2e/migrate-killed",
    "test/e2e/operator-authority",
    "test/e2e/two-applies",
    "test/e2e/upgrades",
  ],
];
const part = process.env.HAPLAN_TEST_LONG_PART;
const leftOut =
  part === undefined ? [] : thirds.flatMap((third, at) => (at === Number(part) % thirds.length ? [] : third));
const longForms = {
  HAPLAN_TEST_EVERYTHING: "1",
  HAPLAN_CRASH_KILLS: "25",
  HAPLAN_FUZZ_SECONDS: "40",
  HAPLAN_GATEWAY_REQUESTS: "2000",
  HAPLAN_SESSION_SECONDS: "30",
};

const flags = [...leftOut.map((name) => `--exclude=${name}.long.test.ts`), ...process.argv.slice(2)];
const { status } = spawnSync("npx", ["vitest", "run", ...tests, ...flags], {
  cwd: root,
  env: { ...longForms, ...process.env },
  stdio: "inherit",
});
process.exitCode = status ?? 1;
