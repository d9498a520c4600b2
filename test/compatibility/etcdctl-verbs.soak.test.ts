/**
 * The verbs of etcdctl 3.5, 3.6 and 3.7 against a member of ours and an etcd of etcdctl's own version: the same output,
 * the same errors, the same exit code, but for ids, times, sizes and what is listed here.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type EtcdVersion, etcdVersions, findEtcdProgram } from "./etcd-programs.ts";
import {
  comparable,
  keyValueSteps,
  leaseSteps,
  operatorSteps,
  type Step,
  userSteps,
  wordsOf,
} from "./etcdctl-verbs.ts";
import { type ClusterProcesses, startCluster } from "./member-processes.ts";

const host = "127.77.62.1";
const commandMs = 15_000;

type Outcome = { readonly line: string; readonly code: number | null; readonly out: string; readonly error: string };

/** One user at one cluster: runs command lines one after the other and keeps what later ones need. */
class User {
  readonly #program: string;
  readonly #url: string;
  readonly #kept: Record<string, string>;

  constructor(program: string, url: string, directory: string) {
    this.#program = program;
    this.#url = url;
    this.#kept = { directory };
  }

  async run({ line, input, keep, until }: Step): Promise<Outcome> {
    const env = { PATH: process.env["PATH"], ETCDCTL_API: "3", ETCDCTL_ENDPOINTS: this.#url };
    const child = spawn(this.#program, wordsOf(line, this.#kept), { env });
    child.stdin.on("error", () => {});
    if (input !== undefined) child.stdin.write(input);
    if (until === undefined) child.stdin.end();
    let [out, error] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      out += text;
      if (until?.test(out)) child.kill("SIGINT");
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      error += text;
    });
    const late = setTimeout(() => child.kill("SIGKILL"), commandMs);
    const [code] = (await once(child, "close")) as [number | null];
    clearTimeout(late);
    if (keep !== undefined) this.#kept[keep.name] = keep.from.exec(out)?.[1] ?? "nothing";
    const end = until?.exec(out);
    if (end != null) out = out.slice(0, end.index + end[0].length);
    return { line, code, out: comparable(out), error: comparable(error) };
  }
}

describe.each(etcdVersions)("etcdctl %s", async (version: EtcdVersion) => {
  const etcdctl = await findEtcdProgram(version, "etcdctl");
  const etcd = await findEtcdProgram(version, "etcd");
  const directory = mkdtempSync(join(tmpdir(), "haplan-etcdctl-"));
  const clusters: ClusterProcesses[] = [];
  const users: User[] = [];
  beforeAll(async () => {
    if ("missing" in etcdctl || "missing" in etcd) return;
    const options = { members: 1, flags: ["--bcrypt-cost=4"], etcdProgram: etcd.path };
    clusters.push(await startCluster("agent", host, options), await startCluster("etcd", host, options));
    users.push(
      ...clusters.map(({ urls, engine }) => {
        mkdirSync(join(directory, engine));
        return new User(etcdctl.path, urls[0]!, join(directory, engine));
      }),
    );
  });
  afterAll(async () => {
    await Promise.all(clusters.map((cluster) => cluster.stop()));
    rmSync(directory, { recursive: true, force: true });
  });

  const tables: readonly { readonly about: string; readonly steps: readonly Step[] }[] = [
    { about: "keys", steps: keyValueSteps },
    { about: "leases, locks and elections", steps: leaseSteps },
    { about: "what operators ask", steps: operatorSteps },
    { about: "users", steps: userSteps },
  ];
  it.for(tables)(
    "prints for $about what it prints with a real etcd",
    { timeout: 300_000 },
    async ({ steps }, { skip }) => {
      for (const built of [etcdctl, etcd]) if ("missing" in built) return skip(built.missing);
      const [ours, theirs]: Outcome[][] = [[], []];
      for (const step of steps) {
        const [our, their] = (await Promise.all(users.map((user) => user.run(step)))) as [Outcome, Outcome];
        if (step.differsFrom?.includes(version)) expect(our, "is listed as different, and is not").not.toEqual(their);
        else {
          ours!.push(our);
          theirs!.push(their);
        }
      }
      expect(ours).toEqual(theirs);
    },
  );
});
