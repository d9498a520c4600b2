/**
 * What every provider owes to haplan, as tests over a factory: each provider runs them, and one that is reached over a
 * connection that fails. They use the port alone.
 */
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ObservedMachine } from "../../src/plan/observed-cluster.ts";
import type { LogRequest } from "../../src/providers/log-entry.ts";
import type { MachineIdentity, Provider, UnitFault } from "../../src/providers/provider.ts";
import { unitDigest } from "../../src/providers/unit-digest.ts";
import type { ClusterSpec, ProviderSettings } from "../../src/spec/cluster-spec.ts";
import type { UnitDefinition } from "../../src/units/unit-definition.ts";
import { fixtureSpec } from "../support/planned-cluster.ts";

export type OpenedProvider = {
  readonly provider: Provider;
  /** Opens another session with the same machines. */
  again(): Promise<Provider>;
  /** Makes a machine unreachable, and returns how to undo that; absent for a provider whose machines are always reachable. */
  cutOff?(name: string): () => void;
  /** The provider's own keys of a host; absent where it needs none. */
  readonly settings?: ProviderSettings;
  /** The spec that it was opened with; absent where any will do. */
  readonly spec?: ClusterSpec;
  /** A machine is nowhere before it is created: only then can it be checked what it lacks. */
  readonly createsHosts?: true;
  /** Removes what was made for the test. */
  close(): Promise<void>;
};

/**
 * What the program `probe` has to be on the provider's machines: it runs until SIGTERM when its argument is `idle`, and ends
 * with exit code 3 and `cannot go on: DETAIL` on standard error when its arguments are `exit DETAIL`. With `say DETAIL` it also
 * prints DETAIL first.
 */
export const probeProgram = `
const [mode, detail] = process.argv.slice(2);
if (mode === "say") console.log(detail);
if (mode === "exit") { console.error("cannot go on: " + detail); process.exit(3); }
process.on("SIGHUP", () => {});
setInterval(() => {}, 1000);
`;

const m1: MachineIdentity = { name: "m1", address: "127.77.18.1", zone: null, lineage: "lineage-a", generation: 1 };
const second: MachineIdentity = { ...m1, address: "127.77.18.2", generation: 2 };

function unit(changes: Partial<UnitDefinition> = {}): UnitDefinition {
  return {
    name: "agent",
    program: { kind: "haplan", command: "probe" },
    arguments: ["idle"],
    environment: {},
    files: [{ path: "config", content: "a", mode: 0o600 }],
    listens: [],
    ...changes,
  };
}

export function describeProvider(name: string, open: () => Promise<OpenedProvider>): void {
  describe(`provider ${name}`, () => {
    let opened: OpenedProvider;
    let provider: Provider;
    beforeEach(async () => {
      opened = await open();
      provider = opened.provider;
    });
    afterEach(async () => {
      await provider.destroyMachine("m1");
      await provider.destroyMachine("m2");
      await provider.close();
      await opened.close();
    });
    const found = async (lineage = "lineage-a", names: readonly string[] = []): Promise<readonly ObservedMachine[]> =>
      (await provider.observe(lineage, names)).machines;

    it.each(["preflight", "check"] as const)(
      "finds with %s what the machines lack, and changes nothing",
      async (call) => {
        const errors = async (given: UnitDefinition): Promise<readonly string[]> => {
          const units = [{ machine: "m1", unit: given }];
          const request = { machines: [m1], units, space: [], network: [], certificateAgeMs: null };
          const result = await provider[call](request);
          const found = "diagnostics" in result ? result.diagnostics : result;
          return found.filter(({ severity }) => severity === "error").map(({ summary }) => summary);
        };
        expect(await errors(unit())).toEqual([]);
        if (opened.createsHosts) await provider.createMachine(m1);
        const missing = await errors(unit({ program: { kind: "system", command: "no-such-program" } }));
        expect(missing).toEqual([expect.stringContaining("no-such-program")]);
        const units = (await found()).flatMap((machine) => machine.units);
        expect(units).toEqual([]);
        if (!opened.createsHosts)
          expect(await provider.observe("lineage-a", ["m1"])).toEqual({ machines: [], unreachable: [] });
      },
    );

    it("finds a machine by its lineage or its name, and nothing once it is destroyed", async () => {
      expect(await provider.observe("lineage-a", ["m1"])).toEqual({ machines: [], unreachable: [] });
      await provider.createMachine(m1);
      await provider.createMachine(m1);
      const { zone: _, ...identity } = m1;
      expect((await found()).map(({ freeBytes: _, ...rest }) => rest)).toEqual([
        { ...identity, hasData: false, units: [] },
      ]);
      expect(await found("lineage-b", ["m1"])).toHaveLength(1);
      expect(await found("lineage-b", ["m2"])).toEqual([]);
      await provider.destroyMachine("m1");
      await provider.destroyMachine("m1");
      expect(await found("lineage-a", ["m1"])).toEqual([]);
      expect(await provider.observeOrphans()).toEqual([]);
    });

    it("rejects a machine on top of another one", async () => {
      await provider.createMachine(m1);
      const taken = { code: "provider/machine-taken" };
      await expect(provider.createMachine({ ...m1, lineage: "lineage-b" })).rejects.toMatchObject(taken);
      await expect(provider.createMachine(second)).rejects.toMatchObject(taken);
    });

    it("keeps two machines of one name apart by their generation, and takes a name alone for the newest", async () => {
      await provider.createMachine(m1);
      await provider.startUnit("m1", unit());
      await provider.createMachine({ ...second, beside: 1 });
      await provider.startUnit("m1", unit());
      const generations = async (): Promise<readonly (readonly [number, boolean | undefined])[]> =>
        (await found()).map(({ generation, units }) => [generation, units[0]?.running] as const).toSorted();
      await provider.stopUnit({ name: "m1", generation: 1 }, "agent", 5_000);
      expect(await generations()).toEqual([
        [1, false],
        [2, true],
      ]);
      await provider.destroyMachine({ name: "m1", generation: 1 });
      expect(await generations()).toEqual([[2, true]]);
    });

    it("renames a machine while its units run", async () => {
      await provider.createMachine(m1);
      const { pid } = await provider.startUnit("m1", unit());
      await provider.renameMachine("m1", "m2");
      await provider.renameMachine("m1", "m2");
      expect(await found()).toMatchObject([{ name: "m2", units: [{ running: true, pid }] }]);
    });

    it("leaves a unit alone that runs as it is defined, and makes it so where it does not", async () => {
      await provider.createMachine(m1);
      const first = await provider.startUnit("m1", unit());
      expect(await provider.startUnit("m1", unit())).toEqual(first);
      expect((await found())[0]?.units).toMatchObject([{ running: true, definitionDigest: unitDigest(unit()) }]);
      const changed = unit({ arguments: ["idle", "more"], files: [{ path: "config", content: "b", mode: 0o600 }] });
      await provider.startUnit("m1", changed);
      expect((await found())[0]?.units).toMatchObject([{ running: true, definitionDigest: unitDigest(changed) }]);
      expect(await provider.readUnitFile("m1", "agent", "config")).toBe("b");
      expect(await provider.readUnitFile("m1", "agent", "none")).toBeNull();
    });

    it("tells the initial cluster that an agent was started with", async () => {
      await provider.createMachine(m1);
      const given = ["--initial-cluster=m1=http://127.77.0.1:2380", "--initial-cluster-state=new"];
      await provider.startUnit("m1", unit({ arguments: ["idle", ...given] }));
      const told = { clusterState: "new", initialCluster: [{ name: "m1", peerUrl: "http://127.77.0.1:2380" }] };
      expect((await found())[0]?.units).toMatchObject([{ initialCluster: told }]);
      await provider.startUnit("m1", unit());
      expect((await found())[0]?.units[0]).not.toHaveProperty("initialCluster");
    });

    it("reloads a unit whose files alone have changed, where it can", async () => {
      const reloading = (content: string): UnitDefinition =>
        unit({
          files: [{ path: "config", content, mode: 0o600 }],
          reload: { signal: "SIGHUP", files: ["config"] },
        });
      await provider.createMachine(m1);
      const first = await provider.startUnit("m1", reloading("a"));
      expect(await provider.startUnit("m1", reloading("b"))).toEqual(first);
      expect(await provider.readUnitFile("m1", "agent", "config")).toBe("b");
    });

    it("names the version of haplan's programs, or does not distinguish versions, and has no former one at first", async () => {
      const name = await provider.artifact();
      await provider.createMachine(m1);
      await provider.startUnit("m1", unit());
      const [started] = (await found())[0]?.units ?? [];
      expect(started?.artifact ?? null).toBe(name);
      await expect(provider.revertUnit("m1", "agent")).rejects.toMatchObject({ code: "provider/no-former-version" });
    });

    it("reports a unit that ends at once with its exit code and the end of its log", async () => {
      await provider.createMachine(m1);
      await expect(provider.startUnit("m1", unit({ arguments: ["exit", "no disk"] }))).rejects.toMatchObject({
        code: "provider/unit-exited",
        message: expect.stringMatching(/exit code 3.*cannot go on: no disk/s),
      });
      expect(await provider.unitLog("m1", "agent", 1)).toBe("cannot go on: no disk");
    });

    it("returns the logs of a machine: the last lines, those of one unit, and what is logged from then on", async () => {
      // A journal also has what a machine of this name logged before.
      const begunMs = Date.now();
      await provider.createMachine(m1);
      await provider.startUnit("m1", unit({ arguments: ["say", "one\ntwo"] }));
      await provider.startUnit("m1", unit({ name: "worker", arguments: ["say", "three"] }));
      const request: LogRequest = { unit: null, lines: null, sinceMs: begunMs, follow: false };
      const read = async (changes: Partial<LogRequest>): Promise<readonly string[]> => {
        const lines: string[] = [];
        const stop = new AbortController();
        for await (const event of provider.logs("m1", { ...request, ...changes }, stop.signal))
          lines.push(event === "current" ? event : `${event.machine} ${event.unit}: ${event.message}`);
        // An init may log that it started a unit.
        return lines.filter((line) => /: (one|two|three)$|current/.test(line));
      };
      expect(await read({})).toEqual(["m1 agent: one", "m1 agent: two", "m1 worker: three", "current"]);
      expect(await read({ unit: "worker" })).toEqual(["m1 worker: three", "current"]);
      // The last line may be one of the init.
      expect(await read({ unit: "agent", lines: 1 })).not.toContain("m1 agent: one");
      expect(await read({ sinceMs: Date.now() + 60_000 })).toEqual(["current"]);

      const stop = new AbortController();
      const seen: string[] = [];
      for await (const event of provider.logs("m1", { ...request, lines: 0, follow: true }, stop.signal)) {
        if (event === "current") await provider.startUnit("m1", unit({ name: "worker", arguments: ["say", "four"] }));
        else if (/^(one|two|three|four)$/.test(event.message)) seen.push(event.message);
        if (seen.includes("four")) stop.abort();
      }
      expect(seen).toEqual(["four"]);
      const none = provider.logs("m2", request, new AbortController().signal)[Symbol.asyncIterator]();
      await expect(none.next()).rejects.toThrow();
    }, 60_000);

    it("runs a command with its words as they are, and ends with its exit code", async () => {
      await provider.createMachine(m1);
      const run = async (...command: [string, ...string[]]): Promise<string> => {
        const found = await provider.shell("m1", { command, tty: false });
        const { stdout, exitCode } = await execa(found.file, found.arguments, {
          reject: false,
          ...(found.directory === null ? {} : { cwd: found.directory }),
        });
        return `${exitCode} ${stdout}`;
      };
      const words = run("sh", "-c", "printf '%s|' \"$@\"; exit 7", "sh", "a  b", "it's", "$HOME", '"');
      await words.then(
        (seen) => expect(seen).toBe("7 a  b|it's|$HOME|\"|"),
        // Where commands reach a machine by other means than the provider.
        (error: unknown) => expect(error).toMatchObject({ code: "provider/no-login" }),
      );
    });

    it("stops and removes a unit, however often that is asked", async () => {
      await provider.createMachine(m1);
      await provider.startUnit("m1", unit());
      for (let twice = 0; twice < 2; twice += 1) await provider.stopUnit("m1", "agent", 5_000);
      expect((await found())[0]?.units).toMatchObject([{ running: false }]);
      for (let twice = 0; twice < 2; twice += 1) await provider.removeUnit("m1", "agent");
      expect((await found())[0]?.units).toEqual([]);
    });

    it("pauses, stops and restarts a unit for a drill, and each fault ends by itself or early", async () => {
      await provider.createMachine(m1);
      const { pid } = await provider.startUnit("m1", unit());
      const runs = async (): Promise<{ readonly running: boolean; readonly pid: number | null } | undefined> => {
        const [agent] = (await found())[0]?.units ?? [];
        return agent === undefined ? undefined : { running: agent.running, pid: agent.pid };
      };
      const disturb = (fault: UnitFault): Promise<void> => provider.disturbUnit("m1", "agent", fault);
      // Repeated, as a call whose answer was lost.
      for (let twice = 0; twice < 2; twice += 1) await disturb({ kind: "pause", forMs: 300 });
      for (let twice = 0; twice < 2; twice += 1) await disturb({ kind: "resume" });
      expect(await runs()).toEqual({ running: true, pid });
      for (let twice = 0; twice < 2; twice += 1) await disturb({ kind: "stop", forMs: 60_000 });
      expect(await runs()).toEqual({ running: false, pid: null });
      for (let twice = 0; twice < 2; twice += 1) await disturb({ kind: "resume" });
      const isAnother = async (former: number | null): Promise<boolean> => {
        const now = await runs();
        return now?.running === true && now.pid !== null && now.pid !== former;
      };
      await expect.poll(() => isAnother(pid), { timeout: 10_000 }).toBe(true);
      const second = (await runs())?.pid ?? null;
      await disturb({ kind: "stop", forMs: 300 });
      await expect.poll(() => isAnother(second), { timeout: 10_000 }).toBe(true);
      const third = (await runs())?.pid ?? null;
      await disturb({ kind: "restart" });
      await expect.poll(() => isAnother(third), { timeout: 10_000 }).toBe(true);
      await disturb({ kind: "resume" });
      expect(await isAnother(third)).toBe(true);
      await provider.stopUnit("m1", "agent", 5_000);
      await expect(disturb({ kind: "pause", forMs: 300 })).rejects.toMatchObject({ code: "provider/not-running" });
    }, 60_000);

    it("leaves running what runs when its session ends, and finds it in the next one", async () => {
      const session = await opened.again();
      await session.createMachine(m1);
      const { pid } = await session.startUnit("m1", unit());
      await session.close();
      expect(await found()).toMatchObject([{ name: "m1", units: [{ running: true, pid }] }]);
    });

    it("ends each call soon after its signal is aborted, and makes good later what was cut off", async () => {
      const signal = AbortSignal.abort(new Error("stopped"));
      const calls = [
        provider.observe("lineage-a", [], signal),
        provider.createMachine(m1, signal),
        provider.unitLog("m1", "agent", 1, signal),
      ];
      const late = new Promise((resolve) => setTimeout(() => resolve("late"), 5_000).unref());
      expect(await Promise.race([Promise.allSettled(calls), late])).not.toBe("late");
      await provider.createMachine(m1);
      expect(await found()).toMatchObject([{ name: "m1", generation: 1 }]);
    });

    it("returns the attributes that its model lists as unknown, of a new machine and of an existing one", async () => {
      const { settings, spec = fixtureSpec(["m1", "m2", "m3"]) } = opened;
      const place = { name: m1.name, address: m1.address, zone: null, role: "worker" } as const;
      const host = settings === undefined ? place : { ...place, settings };
      const { attributes, unknown } = provider.model.describeMachine(spec, host);
      for (let twice = 0; twice < 2; twice += 1) {
        const returned = await provider.createMachine({ ...m1, attributes });
        expect(Object.keys(returned).toSorted()).toEqual(unknown.toSorted());
      }
    });

    it("reports a machine that it cannot reach as unreachable, not as absent, and finds the others", async () => {
      if (opened.cutOff === undefined) return;
      await provider.createMachine(m1);
      await provider.createMachine({ ...m1, name: "m2", address: second.address });
      const reconnect = opened.cutOff("m1");
      const observed = await provider.observe("lineage-a", []);
      reconnect();
      expect(observed).toMatchObject({
        machines: [{ name: "m2" }],
        unreachable: [{ name: "m1", reason: expect.stringMatching(/./) }],
      });
    });

    it("serves at least one machine at once", () => {
      expect(provider.limits.machinesAtOnce).toBeGreaterThan(0);
    });

    it("says which machine and which name it does not take", async () => {
      await expect(provider.startUnit("m2", unit())).rejects.toMatchObject({ code: "provider/no-machine" });
      await expect(provider.createMachine({ ...m1, name: "../m1" })).rejects.toMatchObject({
        code: "provider/bad-name",
      });
    });
  });
}
