/** haplan as a process that is killed at its calls to the emulated AWS, with agents as processes of this machine. */
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundlePrograms } from "../../../scripts/bundle-programs.mjs";
import { kill } from "../../e2e/cluster-fixture.ts";
import { processesOfDir } from "../../e2e/dir-processes.ts";
import { type ProgramRun, startProgram } from "../../e2e/run-program.ts";
import { prepareAccount } from "./emulated-account.ts";
import { exampleText } from "./emulated-cluster.ts";
import type { AwsEmulator } from "./emulator.ts";
import { type Kill, KillingProxy } from "./killing-proxy.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const program = join(root, "build/killed-haplan/haplan/main.js");
/** The instances are at addresses of this machine. */
const network = "127.77";

export async function buildKilledHaplan(): Promise<void> {
  await bundlePrograms({
    root,
    programs: ["haplan"],
    into: join(root, "build/killed-haplan"),
    sourceOf: () => "test/providers/aws/haplan-on-local-hosts.ts",
  });
}

/** The example at addresses of this machine, which are in one zone. */
function specText(endpoint: string): string {
  return exampleText(endpoint)
    .replace(/10\.0\.(\d)\.(\d+)/g, (_, subnet, host) => `${network}.66.${Number(subnet) + Number(host)}`)
    .replaceAll(/, zone: eu-central-1./g, "")
    .replace(/allowFrom: .*/, `allowFrom: [${network}.0.0/16]`);
}

export type KilledRun = ProgramRun & {
  /** False: it came to its end. */
  readonly isKilled: boolean;
  /** Its calls to AWS, in their order. */
  readonly calls: readonly string[];
};

/** A cluster in an account and a directory of its own. */
export class KilledHaplan {
  readonly #directory: string = realpathSync(mkdtempSync(join(tmpdir(), "haplan-aws-killed-")));
  readonly #proxy: KillingProxy;

  /** Nothing survives this process, whatever ends it. */
  readonly #endAtExit = (): void => this.#endProcesses();

  private constructor(proxy: KillingProxy) {
    this.#proxy = proxy;
    process.once("exit", this.#endAtExit);
  }

  static async open(aws: AwsEmulator): Promise<KilledHaplan> {
    await aws.reset();
    await prepareAccount(aws.ec2, network);
    const proxy = new KillingProxy(aws.endpoint);
    const cluster = new KilledHaplan(proxy);
    writeFileSync(join(cluster.#directory, "cloud.yaml"), specText(await proxy.listen()));
    return cluster;
  }

  /** Changes the spec. */
  edit(change: (text: string) => string): void {
    const file = join(this.#directory, "cloud.yaml");
    writeFileSync(file, change(readFileSync(file, "utf8")));
  }

  async run(words: string, at: Kill | null = null): Promise<KilledRun> {
    let pid = 0;
    this.#proxy.arm(at, () => kill(pid, "SIGKILL"));
    const running = startProgram(process.execPath, [program, ...words.split(" "), "cloud.yaml"], {
      cwd: this.#directory,
      timeoutMs: 120_000,
    });
    pid = running.pid;
    const ended = await running.end;
    return { ...ended, isKilled: this.#proxy.hasKilled, calls: this.#proxy.calls };
  }

  /** Ends whatever runs on the instances. */
  async close(): Promise<void> {
    await this.#proxy.close();
    process.off("exit", this.#endAtExit);
    this.#endProcesses();
  }

  #endProcesses(): void {
    for (const pid of processesOfDir(this.#directory)) kill(pid, "SIGKILL");
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
